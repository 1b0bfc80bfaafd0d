package cluster

import (
	"context"
	"encoding/json"
	"time"

	"coup/harness"
)

// What a connection can do. A workload asks for what it needs.
//
// Errors of the operations below wrap harness.ErrFail where the operation
// certainly did not happen; any other error means that nobody knows.
// All values of one object are integers; a missing value is nil.

// Universal is a connection that performs the operations of any workload, with values in
// JSON as in history.jsonl. It needs no other interface.
type Universal interface {
	// Do performs op, whose Value is JSON when it is marshalled, and returns the value of
	// its answer; nil if it has none.
	Do(ctx context.Context, workload string, op harness.Op) (json.RawMessage, error)
}

// Register is a set of registers by key.
type Register interface {
	Read(ctx context.Context, key string) (*int64, error)
	Write(ctx context.Context, key string, v int64) error
	// CAS sets key to "to" if it is "from", and returns what it saw before:
	// it succeeded if that is "from".
	CAS(ctx context.Context, key string, from *int64, to int64) (saw *int64, err error)
}

// Set is a set that only grows.
type Set interface {
	SetAdd(ctx context.Context, key string, v int64) error
	SetRead(ctx context.Context, key string) ([]int64, error)
}

// Queue is a first-in first-out queue.
type Queue interface {
	Enqueue(ctx context.Context, key string, v int64) error
	// Dequeue takes the oldest element; nil if the queue was empty.
	Dequeue(ctx context.Context, key string) (*int64, error)
}

// Messages is a set of queues by key that hand every message out at least once: in any
// order, and once more if the first client may not have got it.
type Messages interface {
	Publish(ctx context.Context, key string, v int64) error
	// Consume takes a message; nil if there is none to hand out now. A message is gone
	// only if a client got it: an error means that somebody will get it later.
	Consume(ctx context.Context, key string) (*int64, error)
}

// Counter is a number that is added to.
type Counter interface {
	CounterAdd(ctx context.Context, key string, delta int64) error
	CounterRead(ctx context.Context, key string) (int64, error)
}

// Transactions is a set of lists by key, on which several steps are performed as
// one: all of them happen at one moment, or none.
type Transactions interface {
	// Txn performs the steps in their order and returns them with what the reads
	// saw: what others had appended before, and what the transaction itself had.
	Txn(ctx context.Context, steps []Micro) ([]Micro, error)
}

// Micro is one step of a transaction.
type Micro struct {
	F     string  // append or r
	Key   string  // the list
	Value int64   // append: what is appended
	List  []int64 // r, once performed: what the list held
}

// Logs is a set of logs by key, such as the partitions of a topic. Messages are only
// added, at the end.
type Logs interface {
	// Send adds a message to a log, and returns the offset at which it stands; nil:
	// the system does not tell.
	Send(ctx context.Context, key string, v int64) (offset *int64, err error)
	// Poll returns messages of a log from an offset on, in their order, and the offset
	// at which the next poll goes on. 0 is the beginning. It returns no messages only if
	// there were none left when it was asked.
	Poll(ctx context.Context, key string, from int64) (messages []Message, next int64, err error)
}

// Message is what stands at an offset of a log.
type Message struct {
	Offset *int64 // nil: the system does not tell
	Value  int64
}

// Bank is some accounts, between which money is transferred. Each holds BankBalance before
// anything happens.
type Bank interface {
	// Transfer moves amount, which is not negative, from one account to another. An
	// account that has less gives nothing: the error wraps harness.ErrFail.
	Transfer(ctx context.Context, from, to string, amount int64) error
	// Balances are what the accounts hold at one moment.
	Balances(ctx context.Context) (map[string]int64, error)
}

// BankBalance is what each account of a [Bank] holds at first.
const BankBalance = 100

// BankAccounts are the accounts of a [Bank].
func BankAccounts() []string { return []string{"a", "b", "c", "d", "e", "f", "g", "h"} }

// Jobs is a system that runs, on workers of its own, what clients hand to it. (Where clients are
// the workers, it has [Tasks].) A job has an effect that can be counted afterwards.
type Jobs interface {
	// SubmitJob hands a job over. Without an error, the system has acknowledged it.
	SubmitJob(ctx context.Context, key string, job int64) error
	// LookAtJobs tells what has become of the jobs of a key. It fails if it can't count the effects
	// on all workers.
	LookAtJobs(ctx context.Context, key string) (JobsSeen, error)
}

// JobsSeen is what has become of jobs.
type JobsSeen struct {
	Jobs map[int64]JobSeen // those that the system knows or that had an effect
	Busy int               // jobs that wait or run, of any key, as far as the system tells
}

// JobSeen is what has become of a job.
type JobSeen struct {
	State   string // what the system says: a constant below; "": it says nothing
	Effects int    // how often it had its effect
}

// What a system says of a job.
const (
	JobWaiting  = "waiting"
	JobRunning  = "running"
	JobFinished = "finished"
	JobFailed   = "failed"
)

// Lock is a set of locks by key. Each is held by one client at a time, until the
// client releases it or its lease is over.
type Lock interface {
	// Acquire takes the lock. It does not wait: if anybody holds the lock, even this
	// client, the error wraps harness.ErrFail.
	Acquire(ctx context.Context, key string) (Grant, error)
	// Renew begins the lease anew. Its error wraps harness.ErrFail if the client
	// does not hold the lock any more.
	Renew(ctx context.Context, key string) (Grant, error)
	// Release gives the lock back. Its error wraps harness.ErrFail if the client
	// does not hold the lock any more.
	Release(ctx context.Context, key string) error
}

// Grant is what a client gets that acquires a lock or renews its lease.
type Grant struct {
	// Token, if there is one, is larger than that of every earlier holder (a fencing
	// token).
	Token *int64
	// Lease is the time after which others may get the lock, counted from the moment
	// at which the client asked; 0: never.
	Lease time.Duration
}

// Storage is a set of directories by key. In each are objects by name: some bytes each,
// that are written and read as a whole.
type Storage interface {
	// WriteObject makes content the object of that name, in place of any that was there.
	// Who reads meanwhile, or after a write that broke off, sees all of it or nothing of
	// it: a system whose writes can be seen half done writes under a name outside of
	// the directory, and renames.
	WriteObject(ctx context.Context, dir, name string, content []byte) error
	// AppendObject adds content to the end of an object. Its error wraps harness.ErrFail
	// if there is none of that name.
	AppendObject(ctx context.Context, dir, name string, content []byte) error
	// ReadObject returns the whole object; found is false if there is none of that name.
	ReadObject(ctx context.Context, dir, name string) (content []byte, found bool, err error)
	// ListObjects returns the names of all objects of a directory, in any order; none if
	// there is no such directory.
	ListObjects(ctx context.Context, dir string) ([]string, error)
	// RenameObject gives an object another name in the same directory, in place of any
	// object that has it: at one moment, so that nobody sees it under both names or under
	// none. Its error wraps harness.ErrFail if there is no object of the name from. A
	// system that never renames onto a name in use may fail then.
	RenameObject(ctx context.Context, dir, from, to string) error
}

// Cache is a set of entries by key, each a copy of what is stored elsewhere (its origin), for
// a while. Who finds no entry fills it, if nobody else does: at most one client at a
// time has the lease to fill a key, so that not all of them ask the origin at once.
// An invalidation says that the origin has changed.
type Cache interface {
	// CacheGet returns the entry. If there is none, the client may be given the lease to fill it,
	// which lasts as long as it asks for, counted from the moment at which it asks, unless the key is
	// filled or invalidated before.
	CacheGet(ctx context.Context, key string, lease time.Duration) (Cached, error)
	// CacheFill stores an entry for the time ttl at most, and ends the lease, which is named by its
	// token. Its error wraps harness.ErrFail if the client does not have the lease any more.
	CacheFill(ctx context.Context, key string, token, v int64, ttl time.Duration) error
	// CacheInvalidate removes the entry and ends the lease, if there are any: what was read from the origin
	// before is not to be seen in the cache any more.
	CacheInvalidate(ctx context.Context, key string) error
}

// Cached is what a cache answers.
type Cached struct {
	Value *int64 // the entry; nil: there is none
	// Token names the lease that the client was given to fill the entry; nil: it was not, because
	// somebody else has it.
	Token *int64
}

// Tasks is a set of boards by key. A board holds tasks, which are numbers. Workers ask it for
// one. Whoever gets one has it by a lease, keeps the lease by heartbeats, and finishes
// the task once. When the lease is over, the task is given to somebody else.
type Tasks interface {
	// Submit puts a task onto the board. It is given to nobody before the task "after", which was
	// submitted earlier, is finished; nil: it waits for none.
	Submit(ctx context.Context, key string, task int64, after *int64) error
	// Take asks for a task; nil if there is none to give now.
	Take(ctx context.Context, key string) (*Assignment, error)
	// Beat begins the lease of an assignment anew, and says how long it is. Its error wraps
	// harness.ErrFail if the lease was over, or the task is finished or somebody else's.
	Beat(ctx context.Context, key string, task, token int64) (time.Duration, error)
	// Finish finishes the task. Its error wraps harness.ErrFail if it is too late, as that
	// of Beat does.
	Finish(ctx context.Context, key string, task, token int64) error
	// Unfinished are the tasks of a board that are not finished, in ascending order.
	Unfinished(ctx context.Context, key string) ([]int64, error)
}

// Assignment is a task that was given to a worker.
type Assignment struct {
	Task int64
	// Token is larger than that of every earlier assignment of the board (a fencing token).
	Token int64
	// Lease is the time after which others may get the task, counted from the moment at
	// which the worker asked.
	Lease time.Duration
}

// Deliveries is a set of queues by key whose messages are acknowledged by whoever got them.
// The messages of a producer are delivered in their order: as long as one is neither
// acknowledged nor dead, none of those that follow it is. A message that is not
// acknowledged in time is delivered again; after [MostDeliveries] it is a dead letter instead.
type Deliveries interface {
	Put(ctx context.Context, key string, message, producer int64) error
	// Deliver asks for a message; nil if there is none to deliver now.
	Deliver(ctx context.Context, key string) (*Delivery, error)
	// Ack acknowledges a message. Its error wraps harness.ErrFail if the time is over, or
	// the message was delivered again or acknowledged.
	Ack(ctx context.Context, key string, message, token int64) error
	// Waiting are the messages that are neither acknowledged nor dead, in any order.
	Waiting(ctx context.Context, key string) ([]int64, error)
	DeadLetters(ctx context.Context, key string) ([]int64, error)
}

// Delivery is a message in the hands of a client.
type Delivery struct {
	Message int64
	// Token is larger than that of every earlier delivery of the queue.
	Token int64
	// Within is the time in which the message must be acknowledged, counted from the moment at
	// which the client asked.
	Within time.Duration
}

// MostDeliveries is how often a queue of [Deliveries] delivers a message.
const MostDeliveries = 3
