//go:build !unix

// Package cputime tells how much CPU time a process has used.
package cputime

import "time"

var started = time.Now()

// Used is how long this process has run; this system does not tell CPU time.
func Used() time.Duration { return time.Since(started) }
