// Package engine makes a module for WASI into a program that runs fast on
// simulated machines. It knows nothing of machines: whoever loads a module says what
// it imports.
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
// A rewritten program asks the same of its machine at the same times, so that a seed
// shows the same with it; a test holds that against the program as it was, to the byte.
package engine
