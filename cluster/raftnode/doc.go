// Package raftnode is the bundled system under test: a small key-value service
// on hashicorp/raft, such as a team would run.
//
// A [Node] serves registers, sets, queues, counters and transactions over lists over
// HTTP. It keeps them in a state machine that is replicated by the raft log.
//
// Start with [Main], which runs a node as a program, or [Start], which takes all parts of
// a node from its caller. On a real machine, Main uses TCP, a bbolt file for log and
// votes, and file snapshots. On a simulated machine (GOOS=wasip1, package cluster/sim),
// bbolt and TCP do not exist. There Main uses the parts of package simulated: a log store
// in one file, raft's messages in a coding of their own, a small HTTP server; and a small
// client (asker.go). Requests and answers are coded by hand on both (apijson.go).
//
// # A request's way
//
// api.go decodes it; route.go finds the leader (itself, or another node to
// name or to forward to); writes go through propose.go into the log and come
// out in fsm.go, which applies them to the state in state.go; linearizable
// reads go through read.go. Every answer that is an error says whether the
// operation certainly did not happen or whether nobody knows (failure.go).
//
// # Retries
//
// A write carries its client's name and a sequence number. The state machine
// remembers the newest of each client together with its result, so that the
// node may propose a write again whose outcome it does not know: it is applied
// once. That memory is part of the replicated state and of every snapshot.
//
// # What raft does not promise
//
// A service that trusts two properties of hashicorp/raft 1.7 is incorrect, and the node
// works around both (see transport.go). VerifyLeader also counts answers to heartbeats
// that were sent before it was called, and answers of nodes without a vote. And when
// heartbeats are handled beside the main loop, a deposed leader can put its successor's
// term into an entry (hashicorp/raft#695). The settings TrustVerify and FastHeartbeat
// switch the workarounds off. They are no planted bugs: to show, they need bad timing
// inside one process, which no fault from outside can cause at will.
//
// A third property is avoided: replication to a follower can get stuck for good
// (hashicorp/raft#612) if only few messages may be in flight, and raft's own default is
// two. The node allows 64. The flag --in-flight changes that, for raft's own transport and
// for the one of simulated machines.
//
// # Operators
//
// The leader transfers leadership when it is told to (transfer.go), and makes peers
// voters, non-voters or no members (members.go). A node that was removed goes on
// running, keeps its log and waits until it is taken back; it never becomes
// a cluster of its own, because only a node without a log writes the first
// entry.
//
// # Planted bugs
//
// bugs.go lists deliberate mistakes that can be switched on one at a time.
// Each is a few lines at the place where a real system would go wrong, behind
// a call of is.
package raftnode
