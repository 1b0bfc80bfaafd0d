//go:build unix

package sim

import (
	"context"
	"syscall"

	"github.com/tetratelabs/wazero/experimental"
)

// withMemory has programs get their memory from the kernel, all that they may
// ever have at once: the kernel gives pages when they are touched, so that a
// memory that grows is not copied.
func withMemory(ctx context.Context) context.Context {
	return experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(func(_, most uint64) experimental.LinearMemory {
		b, err := syscall.Mmap(-1, 0, int(most), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
		if err != nil {
			panic("memory for a simulated machine: " + err.Error())
		}
		return &mapped{b}
	}))
}

type mapped struct{ b []byte }

// Reallocate implements experimental.LinearMemory. Memory never shrinks.
func (m *mapped) Reallocate(size uint64) []byte {
	if size > uint64(len(m.b)) {
		return nil
	}
	return m.b[:size]
}

// Free implements experimental.LinearMemory.
func (m *mapped) Free() {
	if m.b != nil {
		syscall.Munmap(m.b) // what can't be unmapped stays until this process ends
		m.b = nil
	}
}
