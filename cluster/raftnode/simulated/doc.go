// Package simulated has parts of a node for simulated machines. They replace parts that do
// not exist there, or that would take most of the CPU time.
//
//	wal.go       a log store in one file, in place of bbolt
//	wire.go      raft's messages between nodes, in place of raft's own transport; how
//	             each is written is in messages.go
//	server.go    the part of HTTP that a node's clients use, in place of http.Server
//	overhear.go  what passes on the wire and into the log, in words, for a trace
//
// They know hashicorp/raft, and nothing of the node. Releases of hashicorp/raft differ in the
// fields of messages and entries: files named sinceN.go and beforeN.go have the differences.
package simulated
