// Package simulated has the parts of a node for simulated machines, in place of those that
// do not exist there or would take most of the time.
//
//	wal.go       a log store in one file, in place of bbolt
//	wire.go      raft's messages between nodes, in place of raft's own transport; how
//	             each is written is in messages.go
//	server.go    the part of HTTP that a node's clients use, in place of http.Server
//	overhear.go  what passes on the wire and into the log, in words, for a trace
//
// They know hashicorp/raft, and nothing of the node. Where releases of hashicorp/raft differ in what
// a message or an entry has, a file says since or before which one it is so.
package simulated
