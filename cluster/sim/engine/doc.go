// Package engine makes a module for WASI into a program that runs fast on simulated
// machines. Start with [Load]. The package knows nothing of machines: the caller of Load
// says what the module imports.
//
//	program.go  a compiled module, and a process of it
//	ready.go    the module as it is compiled, kept for the next time
//	image.go    the data of a module, put together once for all processes; it is
//	            where memory begins that comes from the kernel (memory_unix.go),
//	            in huge pages (hugepages_linux.go)
//	lean.go     the code of a module, rewritten to do the same in fewer steps;
//	            leanread.go, leanframe.go, leanpointer.go, leanentry.go,
//	            leancondition.go and leanwrite.go
//	checked.go, unchecked.go  with which wazero: see package internal/unchecked
//
// A rewritten program makes the same calls of its machine at the same times, so that a
// seed gives the same run. A test compares both programs, to the byte.
package engine
