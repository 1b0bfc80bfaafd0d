//go:build unix

// Package cputime tells how much CPU time a process has used.
package cputime

import (
	"syscall"
	"time"
)

// Used is for how long the processors have worked for this process so far, all its
// threads together.
func Used() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
