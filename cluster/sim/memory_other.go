//go:build !unix

package sim

import "context"

func withMemory(ctx context.Context) context.Context { return ctx }
