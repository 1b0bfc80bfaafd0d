//go:build unix

package main

import (
	"os"
	"syscall"
)

// become replaces this process by another program. It returns only if that fails.
func become(program string, args ...string) error {
	keepPipes()
	return syscall.Exec(program, args, os.Environ())
}
