//go:build !unix

package sim

import (
	"context"
	"errors"
)

type pages struct{}

// newPages always fails: here the runtime fills the memory of each process.
func newPages([]byte) (*pages, error) { return nil, errors.ErrUnsupported }

func (*pages) close() error { return nil }

func withMemory(ctx context.Context, _ *pages) context.Context { return ctx }
