//go:build unix

package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"
)

// haveImages says whether processes can be given what their memory begins with.
const haveImages = true

// pages is what the memory of every process of a program begins with. The
// processes have it in common until they write to it.
type pages struct {
	file *os.File // has no name any more
	size int      // whole pages
}

func newPages(image []byte) (_ *pages, err error) {
	f, err := os.CreateTemp("", "coup-memory-")
	if err != nil {
		return nil, fmt.Errorf("memory of simulated machines: %w", err)
	}
	page := os.Getpagesize()
	p := &pages{f, (len(image) + page - 1) / page * page}
	_, err = f.Write(image)
	if err = errors.Join(err, f.Truncate(int64(p.size)), os.Remove(f.Name())); err != nil {
		f.Close()
		return nil, fmt.Errorf("memory of simulated machines: %w", err)
	}
	return p, nil
}

func (p *pages) close() error { return p.file.Close() }

// withMemory has programs get their memory from the kernel, all that they may
// ever have at once: the kernel gives pages when they are touched, so that a
// memory that grows is not copied. It begins with p, if that is not nil.
func withMemory(ctx context.Context, p *pages) context.Context {
	return experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(func(_, most uint64) experimental.LinearMemory {
		b, err := syscall.Mmap(-1, 0, max(int(most), reach), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON|syscall.MAP_NORESERVE)
		if err == nil && p != nil && p.size > 0 {
			_, err = unix.MmapPtr(int(p.file.Fd()), 0, unsafe.Pointer(&b[0]), uintptr(p.size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED)
		}
		if err != nil {
			panic("memory for a simulated machine: " + err.Error())
		}
		huge := b[:most]
		if p != nil {
			huge = huge[p.size:]
		}
		hugeMemory(huge)
		return &mapped{b, int(most)}
	}))
}

type mapped struct {
	b    []byte
	most int // of it is the program's
}

// Reallocate implements experimental.LinearMemory. Memory never shrinks.
func (m *mapped) Reallocate(size uint64) []byte {
	if size > uint64(m.most) {
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
