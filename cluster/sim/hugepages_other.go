//go:build !linux

package sim

func hugeMemory([]byte) {}

func hugeCode() {}
