// Package catalogue lists what a history can be one of: for each model its name, what
// it means and whose meaning that is, and which checkers judge it at which consistency.
//
// Start with [All] or [Find]; [Entry.Checker] makes the checker.
package catalogue

import (
	"fmt"
	"strings"

	"coup/checker/elements"
	"coup/checker/invariants"
	"coup/checker/linearizable"
	"coup/checker/model"
	"coup/checker/transactions"
	"coup/checker/weaker"
	"coup/harness"
)

// Entry is one model that a history can be of.
type Entry struct {
	Name string
	// Functions are what its operations are called and take, for people.
	Functions string
	// Doc says what it means, in a line or two.
	Doc string
	// Whose says whose meaning that is: coup's, Knossos', Jepsen's, Elle's.
	Whose string
	// Decode gives the values of a stored history their types.
	Decode harness.Decoder
	// NilReadsSayNothing says that a read of nothing is an answer that is not known.
	NilReadsSayNothing bool

	levels []level
}

// level is a consistency and the checker that judges it.
type level struct {
	name string
	doc  string
	make func(Options) harness.Checker
}

// Options are the options of all models; each looks at its own.
type Options struct {
	// Permits are those of a semaphore; 0: 2.
	Permits int64
	// Reentrances bounds how often a reentrant mutex can be held; 0: any number of times.
	Reentrances int
	// NegativeBalances allows the accounts of a bank to be overdrawn.
	NegativeBalances bool
	// Drained says that a log was polled to its end.
	Drained bool
	// Undrained says that a total-queue was not drained: what did not come out may be in it.
	Undrained bool
}

// Check says which of the options do not go with a model, by the names that they have as
// flags of coup check.
func (o Options) Check(model string) error {
	for _, one := range []struct {
		given bool
		flag  string
		with  string
	}{
		{o.Permits != 0, "permits", "semaphore"},
		{o.Reentrances != 0, "reentrances", "reentrant-mutex"},
		{o.NegativeBalances, "negative-balances", "bank"},
		{o.Drained, "drained", "log"},
		{o.Undrained, "drained=false", "total-queue"},
	} {
		if one.given && model != one.with {
			return fmt.Errorf("--%s goes with the model %s, not with %s", one.flag, one.with, model)
		}
	}
	switch {
	case o.Permits < 0:
		return fmt.Errorf("a semaphore has 1 permit or more, not %d", o.Permits)
	case o.Reentrances < 0:
		return fmt.Errorf("a mutex can be held once or more often, not %d times", o.Reentrances)
	}
	return nil
}

// Consistencies are those at which the model can be judged, the default first, each
// with what it means.
func (e Entry) Consistencies() (names, docs []string) {
	for _, l := range e.levels {
		names, docs = append(names, l.name), append(docs, l.doc)
	}
	return names, docs
}

// Checker judges a history of the model at a consistency; "" is the default.
func (e Entry) Checker(consistency string, o Options) (harness.Checker, error) {
	for i, l := range e.levels {
		if l.name == consistency || i == 0 && consistency == "" {
			return l.make(o), nil
		}
	}
	names, _ := e.Consistencies()
	return nil, fmt.Errorf("the model %s is not judged at the consistency %q, only at %s", e.Name, consistency, strings.Join(names, ", "))
}

// Find is the entry of a name.
func Find(name string) (Entry, bool) {
	for _, e := range All() {
		if e.Name == name {
			return e, true
		}
	}
	return Entry{}, false
}

// linear is judged as linearizable alone.
func linear(m func(Options) model.Model) []level {
	return []level{{"linearizable", "every operation took effect at one moment between its start and its end", func(o Options) harness.Checker {
		return linearizable.Checker{Model: m(o)}
	}}}
}

func only(m model.Model) []level { return linear(func(Options) model.Model { return m }) }

// registers are judged at weaker consistencies, too.
func registers() []level {
	return append(only(model.Register()),
		level{"sequential", "the operations on each key have one order that agrees with that of each process (Lamport 1979); values are written once each",
			func(Options) harness.Checker { return weaker.Sequential{} }},
		level{"sessions", "each process reads its own writes and never goes back (Terry et al. 1994); values are written once each",
			func(Options) harness.Checker { return weaker.Sessions{} }},
		level{"staleness", "nothing is promised: how old the values were that reads showed is measured",
			func(Options) harness.Checker { return weaker.Staleness{} }})
}

// always is judged in one way, whatever it is called.
func always(name, doc string, make func(Options) harness.Checker) []level {
	return []level{{name, doc, make}}
}

// All are the models, sorted by name.
func All() []Entry {
	plain := func(c harness.Checker) func(Options) harness.Checker {
		return func(Options) harness.Checker { return c }
	}
	const whatever = "what answers must show whatever the order of the operations was"
	return []Entry{
		{Name: "bank", Functions: "transfer {from, to, amount}, read -> {account: balance}", Whose: "Jepsen's bank",
			Doc:    "Every read shows the same total, no balance is missing, and none is negative unless --negative-balances allows it.",
			Decode: model.DecodeBank, levels: always("totals", whatever, func(o Options) harness.Checker { return invariants.Bank{Negative: o.NegativeBalances} })},
		{Name: "cas-register", Functions: "read, write V, cas [FROM TO]", Whose: "Knossos' cas-register",
			Doc:    "A register. A read of nil says nothing, and neither does a cas that failed.",
			Decode: model.DecodeRegister, NilReadsSayNothing: true, levels: registers()},
		{Name: "counter", Functions: "add N, read", Whose: "coup's",
			Doc:    "A number that is added to. Every read shows the sum of all adds before it: stricter than Jepsen's counter.",
			Decode: model.DecodeCounter, levels: only(model.Counter())},
		{Name: "fenced-mutex", Functions: "acquire -> token, release", Whose: "Jepsen's test of Hazelcast",
			Doc:    "A mutex that knows its holder. The token of each acquire, if it has one, is larger than all before it.",
			Decode: model.DecodeLock, levels: only(model.FencedMutex())},
		{Name: "jepsen-counter", Functions: "add N, read", Whose: "Jepsen's counter",
			Doc:    "A read shows anything between the sum of what surely was added when it began and of what possibly was when it ended.",
			Decode: model.DecodeCounter, levels: always("bounds", whatever, plain(elements.Counter{AllowBackward: true}))},
		{Name: "kv", Functions: "get, put S, append S", Whose: "porcupine's kv",
			Doc:    "A string by key, empty at first.",
			Decode: model.DecodeKV, levels: only(model.KV())},
		{Name: "list-append", Functions: "txn [[append K V] [r K LIST]]", Whose: "Elle's list-append",
			Doc:    "Transactions over lists. The anomalies are Adya's.",
			Decode: model.DecodeListTxn, levels: always("strict-serializable", "transactions took effect one at a time, in an order that agrees with time", plain(transactions.Checker{}))},
		{Name: "lock", Functions: "acquire, renew -> {token, lease}, release", Whose: "coup's",
			Doc:    "A mutex that knows its holder, with leases and fencing tokens where answers tell them.",
			Decode: model.DecodeLock, levels: only(model.Lock())},
		{Name: "log", Functions: "send [[send K V]], poll [[poll]], txn, assign, subscribe, crash", Whose: "Jepsen's kafka",
			Doc:    "Logs by key. Lost writes, duplicates, inconsistent offsets, polls and sends out of order, skipped messages, aborted and precommitted reads, cycles of reads (G1c). --drained says that all was polled: then what was not is lost.",
			Decode: model.DecodeLog, levels: []level{
				{"read-committed", "polls show only messages of transactions that have committed", func(o Options) harness.Checker { return invariants.Log{Drained: o.Drained} }},
				{"read-uncommitted", "polls may show messages of transactions that have not: cycles of reads are allowed", func(o Options) harness.Checker { return invariants.Log{Drained: o.Drained, ReadUncommitted: true} }},
			}},
		{Name: "long-fork", Functions: "txn [[w K V]] or [[r K V] ...]", Whose: "Jepsen's long-fork",
			Doc:    "No two reads of the same registers show two writes in opposite orders. Each register is written once.",
			Decode: model.DecodeRegisterTxn, levels: always("snapshot", whatever, plain(invariants.LongFork{}))},
		{Name: "multi-register", Functions: "txn [[w K V] [r K V] ...]", Whose: "Knossos' multi-register",
			Doc:    "Several registers that one operation reads and writes at once.",
			Decode: model.DecodeRegisterTxn, levels: only(model.MultiRegister())},
		{Name: "mutex", Functions: "acquire, release", Whose: "Knossos' mutex",
			Doc:    "One can hold it at a time. It does not know who does, so anybody may release it.",
			Decode: model.DecodeMutex, levels: only(model.Mutex())},
		{Name: "priority-queue", Functions: "insert N, delete-min", Whose: "coup's",
			Doc:    "delete-min takes the smallest element, nothing of an empty queue.",
			Decode: model.DecodePriorityQueue, levels: only(model.PriorityQueue())},
		{Name: "queue", Functions: "enqueue V, dequeue", Whose: "Knossos' fifo-queue",
			Doc:    "First in, first out. A dequeue of an empty queue returns nothing.",
			Decode: model.DecodeQueue, levels: only(model.Queue())},
		{Name: "reentrant-mutex", Functions: "acquire -> token, release", Whose: "Jepsen's test of Hazelcast",
			Doc:    "Its holder can acquire it again, and must release it as often. With tokens, it is fenced. --reentrances bounds how often it can be held.",
			Decode: model.DecodeLock, levels: linear(func(o Options) model.Model { return model.ReentrantMutex(o.Reentrances) })},
		{Name: "register", Functions: "read, write V, cas [FROM TO]", Whose: "coup's",
			Doc:    "A register. A read of nil says that nothing was written yet.",
			Decode: model.DecodeRegister, levels: registers()},
		{Name: "rw-register", Functions: "txn [[w K V] [r K V]]", Whose: "Elle's rw-register",
			Doc:    "Transactions over registers whose values are written once each.",
			Decode: model.DecodeRegisterTxn, levels: always("strict-serializable", "transactions took effect one at a time, in an order that agrees with time", plain(transactions.Checker{Registers: true}))},
		{Name: "semaphore", Functions: "acquire N, release N", Whose: "Jepsen's test of Hazelcast",
			Doc:    "Permits, of which a process can release only what it holds. N is 1 if it is not said. There are 2, or --permits.",
			Decode: model.DecodeSemaphore, levels: linear(func(o Options) model.Model {
				if o.Permits == 0 {
					o.Permits = 2
				}
				return model.Semaphore(o.Permits)
			})},
		{Name: "set", Functions: "add V, read -> LIST", Whose: "Knossos' set",
			Doc:    "A set that only grows and is read as a whole.",
			Decode: model.DecodeSet, levels: only(model.Set())},
		{Name: "set-full", Functions: "add V, read -> LIST", Whose: "Jepsen's set-full",
			Doc:    "What became of each element: stable, stale, lost, never read, duplicated.",
			Decode: model.DecodeSet, levels: []level{
				{"eventual", "no element is lost", plain(invariants.SetFull{})},
				{"linearizable", "and none is stale", plain(invariants.SetFull{Linearizable: true})},
			}},
		{Name: "stack", Functions: "push V, pop", Whose: "coup's",
			Doc:    "Last in, first out. A pop of an empty stack returns nothing.",
			Decode: model.DecodeStack, levels: only(model.Stack())},
		{Name: "total-queue", Functions: "enqueue V, dequeue", Whose: "Jepsen's total-queue",
			Doc:    "No order: what was acknowledged comes out in the end, and nothing else does. The queue must have been drained; --drained=false says that it was not.",
			Decode: model.DecodeQueue, levels: always("totals", whatever, func(o Options) harness.Checker { return invariants.TotalQueue{Undrained: o.Undrained} })},
		{Name: "unique-ids", Functions: "generate -> ID", Whose: "Jepsen's unique-ids",
			Doc:    "No id is given twice.",
			Decode: model.DecodeIDs, levels: always("unique", whatever, plain(invariants.UniqueIDs{}))},
		{Name: "unordered-queue", Functions: "enqueue V, dequeue", Whose: "Knossos' unordered-queue",
			Doc:    "A bag: a dequeue returns any element that is in it, nothing only if there is none.",
			Decode: model.DecodeQueue, levels: only(model.Bag())},
	}
}

// Help tells of all models, a paragraph each.
func Help() string {
	var b strings.Builder
	for _, e := range All() {
		fmt.Fprintf(&b, "  %s (%s): %s\n      %s\n", e.Name, e.Whose, e.Functions, e.Doc)
		if names, docs := e.Consistencies(); len(names) > 1 {
			for i := range names {
				fmt.Fprintf(&b, "      --consistency %s: %s\n", names[i], docs[i])
			}
		}
	}
	return b.String()
}
