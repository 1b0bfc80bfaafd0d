//go:build !unix

package engine

import (
	"context"
	"errors"
)

// Here the runtime fills the memory of each process.
const haveImages = false

type pages struct{}

func newPages([]byte) (*pages, error) { return nil, errors.ErrUnsupported }

func (*pages) close() error { return nil }

func withMemory(ctx context.Context, _ *pages) context.Context { return ctx }
