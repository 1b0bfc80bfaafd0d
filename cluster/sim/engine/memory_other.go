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

// Memory is that of a process, which the runtime makes here.
type Memory struct{}

func newMemory(*pages) (*Memory, error) { return &Memory{}, nil }

// In does nothing here.
func (*Memory) In(ctx context.Context) context.Context { return ctx }

// Free does nothing here.
func (*Memory) Free() {}
