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

// newMemory reserves memory for a process, as much as a program may ever have. The kernel
// provides pages when they are touched, so a memory that grows is never copied. It begins
// with p, if that is not nil.
func newMemory(p *pages) (*Memory, error) {
	const most = memoryPages * wasmPage
	b, err := syscall.Mmap(-1, 0, max(most, reach), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON|syscall.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("%d MiB of addresses for a machine's memory can't be had: %w; raise the limit (ulimit -v) or take fewer nodes%s", max(most, reach)>>20, err, orChecked)
	}
	m := &Memory{mapped{b, most}}
	huge := b[:most]
	if p != nil && p.size > 0 {
		if _, err = unix.MmapPtr(int(p.file.Fd()), 0, unsafe.Pointer(&b[0]), uintptr(p.size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED); err != nil {
			m.Free()
			return nil, fmt.Errorf("what a machine's memory begins with: %w", err)
		}
		huge = huge[p.size:]
	}
	hugeMemory(huge)
	return m, nil
}

// Memory is that of a process, before the process is there.
type Memory struct{ mapped mapped }

// In has the program that is started in the context have the memory. No other one may.
func (m *Memory) In(ctx context.Context) context.Context {
	return experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(func(_, _ uint64) experimental.LinearMemory {
		return &m.mapped
	}))
}

// Free gives the memory back, unless the process that had it has done so.
func (m *Memory) Free() { m.mapped.Free() }

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
		syscall.Munmap(m.b) // if that fails, the memory stays until this process ends
		m.b = nil
	}
}
