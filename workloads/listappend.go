package workloads

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"coup/checker/model"
	"coup/checker/transactions"
	"coup/cluster"
	"coup/harness"
	"coup/harness/gen"
)

// listAppend is what Elle calls list-append (Kingsbury and Alvaro, VLDB 2020):
// since a list shows its whole past, so does every read of one.
var listAppend = Workload{
	Doc: "transactions that append to lists and read them, several at a time",
	Generator: func(o Options) harness.Generator {
		o = o.orDefaults()
		return newTxnOps(o.Keys, o.OpsPerKey)
	},
	Final: func(keys []string) harness.Generator {
		var ops []harness.Op
		for some := range slices.Chunk(keys, readAtOnce) {
			var txn model.Txn
			for _, k := range some {
				txn = append(txn, model.Micro{F: "r", Key: k})
			}
			ops = append(ops, harness.Op{F: "txn", Value: txn})
		}
		return gen.Retry(ops, succeeded)
	},
	Owns: func(key string) bool { return strings.HasPrefix(key, txnPrefix) },
	Keys: func(op harness.Op) (keys []string) {
		txn, _ := op.Value.(model.Txn)
		for _, m := range txn {
			keys = append(keys, m.Key)
		}
		return keys
	},
	Looks: func(op *harness.Operation) bool {
		txn, _ := op.Input.(model.Txn)
		return !slices.ContainsFunc(txn, func(m model.Micro) bool { return m.F != "r" })
	},
	Invoke: func(ctx context.Context, c cluster.Conn, op harness.Op) (any, error) {
		if op.F != "txn" {
			return nil, unknownFunction(op)
		}
		steps := []cluster.Micro{}
		for _, m := range op.Value.(model.Txn) {
			steps = append(steps, cluster.Micro{F: m.F, Key: m.Key, Value: m.Value})
		}
		done, err := c.(cluster.Transactions).Txn(ctx, steps)
		if err != nil {
			return nil, err
		}
		var saw model.Txn
		for _, m := range done {
			step := model.Micro{F: m.F, Key: m.Key, Value: m.Value}
			if m.F == "r" {
				step.List = append([]int64{}, m.List...)
			}
			saw = append(saw, step)
		}
		return saw, nil
	},
	Supports: supports[cluster.Transactions],
	Decode:   model.DecodeListTxn,
	Answers:  sameSteps,
	Checkers: func() []harness.Checker { return []harness.Checker{transactions.Checker{}} },
	Levels:   transactionLevels(),
	Needs:    []string{"txn"},
}

// sameSteps fails if a transaction was answered with other steps than its own.
func sameSteps(asked harness.Op, value any) error {
	if !value.(model.Txn).Answers(asked.Value.(model.Txn)) {
		return errors.New("it has other steps than the transaction")
	}
	return nil
}

const (
	mostSteps  = 4  // of a transaction
	readAtOnce = 10 // lists, in the end
)

// txnOps draws transactions over some lists. A list that was appended to and
// read often enough is retired, and a new one takes its place, so that reads
// stay short. Appended values count up from 1.
type txnOps struct {
	lists []txnList
	next  int // the number of the next list
	most  int // steps on a list
}

type txnList struct {
	key   string
	last  int64 // appended
	steps int
}

func newTxnOps(lists, most int) txnOps {
	g := txnOps{lists: make([]txnList, lists), next: lists, most: most}
	for i := range g.lists {
		g.lists[i].key = txnKey(i)
	}
	return g
}

const txnPrefix = "k"

func txnKey(i int) string { return txnPrefix + strconv.Itoa(i) }

func (g txnOps) Next(m harness.Moment) (harness.Op, harness.Generator) {
	g.lists = slices.Clone(g.lists)
	txn := make(model.Txn, 1+m.Rand.IntN(mostSteps))
	for i := range txn {
		l := &g.lists[m.Rand.IntN(len(g.lists))]
		if l.steps >= g.most {
			*l = txnList{key: txnKey(g.next)}
			g.next++
		}
		l.steps++
		txn[i] = model.Micro{F: "r", Key: l.key}
		if m.Rand.IntN(2) == 0 {
			l.last++
			txn[i].F, txn[i].Value = "append", l.last
		}
	}
	return harness.Op{F: "txn", Value: txn}, g
}

func (g txnOps) Update(harness.Moment, harness.Op) harness.Generator { return g }
