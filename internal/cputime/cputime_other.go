//go:build !unix

// Package cputime tells how much a process has computed.
package cputime

import "time"

var started = time.Now()

// Used is for how long this process has run: more is not told here.
func Used() time.Duration { return time.Since(started) }
