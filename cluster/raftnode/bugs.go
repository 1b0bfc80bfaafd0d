package raftnode

import (
	"fmt"
	"strings"
)

// Bug names a deliberate mistake of the node; "" is none.
type Bug string

// The planted bugs.
const (
	StaleLeaderRead      Bug = "stale-leader-read"
	FollowerRead         Bug = "follower-read"
	EarlyLeaderRead      Bug = "early-leader-read"
	DirtyRead            Bug = "dirty-read"
	EarlyAck             Bug = "early-ack"
	FalseFail            Bug = "false-fail"
	CASOutsideLog        Bug = "cas-outside-log"
	DequeueOutsideLog    Bug = "dequeue-outside-log"
	DoubleApply          Bug = "double-apply"
	LocalClockApply      Bug = "local-clock-apply"
	ForgottenVote        Bug = "forgotten-vote"
	LostLog              Bug = "lost-log"
	NoSync               Bug = "no-sync"
	TornWrite            Bug = "torn-write"
	IgnoredSyncError     Bug = "ignored-sync-error"
	LeaseWallClock       Bug = "lease-wall-clock"
	ShortSnapshot        Bug = "short-snapshot"
	StickyRestore        Bug = "sticky-restore"
	TornTransaction      Bug = "torn-transaction"
	FracturedRead        Bug = "fractured-read"
	ReadsOutsideLog      Bug = "reads-outside-log"
	AbortedAppend        Bug = "aborted-append"
	StuckTransfer        Bug = "stuck-transfer"
	ShutdownOnRemove     Bug = "shutdown-on-remove"
	TornObject           Bug = "torn-object"
	FracturedObject      Bug = "fractured-object"
	CopyRename           Bug = "copy-rename"
	StaleAppend          Bug = "stale-append"
	StaleList            Bug = "stale-list"
	FillWithoutLease     Bug = "fill-without-lease"
	LateFill             Bug = "late-fill"
	RestartedTTL         Bug = "restarted-ttl"
	CacheFollower        Bug = "cache-follower"
	CacheWallClock       Bug = "cache-wall-clock"
	UnfencedFinish       Bug = "unfenced-finish"
	EarlyRequeue         Bug = "early-requeue"
	FinishBeforeCommit   Bug = "finish-before-commit"
	LeaseLocalClock      Bug = "lease-local-clock"
	DependencyOutsideLog Bug = "dependency-outside-log"
	AckBeforeCommit      Bug = "ack-before-commit"
	RedeliveryAtTail     Bug = "redelivery-at-tail"
	DroppedDeadLetter    Bug = "dropped-dead-letter"
	StaleAck             Bug = "stale-ack"
	FailOpen             Bug = "fail-open"
	OldTokens            Bug = "old-tokens"
	AnyName              Bug = "any-name"
)

// BugDoc says what a planted bug does, in one line.
type BugDoc struct {
	Bug Bug
	Doc string
}

// Bugs are all planted bugs.
var Bugs = []BugDoc{
	{StaleLeaderRead, "a deposed leader answers linearizable reads until it hears of its successor"},
	{FollowerRead, "every node answers linearizable reads from its own state"},
	{EarlyLeaderRead, "a new leader answers reads before it has applied an entry of its term, and with it what was committed before"},
	{DirtyRead, "a leader answers reads of a register with its newest proposal, committed or not"},
	{EarlyAck, "a leader acknowledges a write that is in its own log when the commit takes longer than 100 ms"},
	{FalseFail, "a leader that is deposed calls its pending writes failed, though the successor may commit them"},
	{CASOutsideLog, "a compare-and-set compares with the leader's state and then writes through the log"},
	{DequeueOutsideLog, "a dequeue picks the element from the leader's state and then removes it through the log"},
	{DoubleApply, "a write that is proposed again after a slow commit or a lost leader is applied again"},
	{LocalClockApply, "a node skips a command that is older than a second by its own clock when it applies it"},
	{ForgottenVote, "term and vote are kept in memory only and lost in a restart"},
	{LostLog, "the log is kept in memory only and lost in a restart, while term, vote and snapshots stay"},
	{NoSync, "log, term and vote are acknowledged before they are synced; only a power cut shows it"},
	{TornWrite, "what a power cut left of a write to the log is taken for all of it: no checksum is looked at"},
	{IgnoredSyncError, "an fsync that fails is taken for one that did not, and what follows the hole in the log is dropped when it is read"},
	{LeaseWallClock, "a leader answers reads without asking anybody while a lease lasts, by the wall clock, that a majority gave it"},
	{ShortSnapshot, "a snapshot misses the newest entries that it claims to hold"},
	{StickyRestore, "a snapshot installed on a running node does not replace what the node had under a key"},
	{TornTransaction, "every step of a transaction is an entry of the log by itself, and others come between them"},
	{FracturedRead, "a transaction that only reads reads one list after the other, each at a moment of its own"},
	{ReadsOutsideLog, "a transaction reads the leader's state and then appends through the log"},
	{AbortedAppend, "a transaction that takes longer than 100 ms to commit is called aborted and stays in the log"},
	{StuckTransfer, "a leader that was told to hand the lead over, and could not, goes on to think that it is doing so, and refuses all writes"},
	{ShutdownOnRemove, "a leader that is removed shuts its raft down, as is hashicorp/raft's default, and is of no use when it is taken back"},
	{TornObject, "an object is written in place, part by part, and not as a whole once all parts are there"},
	{FracturedObject, "an object is read part by part, each at a moment of its own"},
	{CopyRename, "a rename copies the object in one entry of the log and removes the old one in another"},
	{StaleAppend, "an append takes the length of the object from the leader's state, and then writes there through the log"},
	{StaleList, "every node answers the list of a directory from its own state"},
	{FillWithoutLease, "whoever finds no entry in the cache may fill it, and all of them do"},
	{LateFill, "an invalidation removes the entry of the cache and not the lease of who is filling it with what it read before"},
	{RestartedTTL, "a new leader takes the entries of the cache to live as long again as when they were filled"},
	{CacheFollower, "every node answers from its own state of the cache"},
	{CacheWallClock, "each leader goes by its own wall clock to know when an entry of the cache has come to its end"},
	{UnfencedFinish, "a task is finished by whoever says so: nobody looks at the token of the assignment, nor whether its lease is over"},
	{EarlyRequeue, "a new leader gives all assigned tasks away anew, though the leases of their workers are not over"},
	{FinishBeforeCommit, "a leader acknowledges that a task is finished before that is committed"},
	{LeaseLocalClock, "each node judges the lease of a task by its own clock when it applies a command"},
	{DependencyOutsideLog, "a leader takes a task for finished, as far as others wait for it, as soon as it is asked to finish it"},
	{AckBeforeCommit, "a leader confirms that a message is acknowledged before that is committed"},
	{RedeliveryAtTail, "a message that is delivered again goes to the end of the queue, and those of its producer that follow it are delivered before it is acknowledged"},
	{DroppedDeadLetter, "a message that was delivered often enough in vain is dropped and not put among the dead letters"},
	{StaleAck, "a message is acknowledged by whoever got it at any time: nobody looks whether it was delivered again since"},
	{FailOpen, "with --tls: while as many handshakes are under way as a node allows, it lets the next ones in without looking at who they are"},
	{OldTokens, "with --tls: a token that a node has accepted once stays good when it is withdrawn"},
	{AnyName, "with --tls: every certificate of the authority passes for that of a node, whatever name it has"},
}

// ParseBug finds a planted bug by name.
func ParseBug(name string) (Bug, error) {
	if name == "" {
		return "", nil
	}
	var names []string
	for _, b := range Bugs {
		if string(b.Bug) == name {
			return b.Bug, nil
		}
		names = append(names, string(b.Bug))
	}
	return "", fmt.Errorf("unknown bug %q; known are %s", name, strings.Join(names, ", "))
}

// is says whether the bug that is switched on is b.
func (on Bug) is(b Bug) bool { return on == b }
