//go:build !linux

package engine

func hugeMemory([]byte) {}

// HugeCode does nothing: huge pages are asked for on Linux only.
func HugeCode() {}
