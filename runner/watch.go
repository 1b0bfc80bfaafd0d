package runner

import (
	"cmp"
	"context"
	"strings"
	"time"

	"coup/cluster"
	"coup/harness"
	"coup/nemesis"
)

const (
	watchEvery     = 250 * time.Millisecond
	agreeEvery     = time.Second     // the nodes' states while they have not come to the same position
	digestPatience = 5 * time.Second // with one node; it may have to read all that it holds
)

// watch records the nodes' states as the run goes on, and shows the progress.
func (r *run) watch(ctx context.Context) {
	for ctx.Err() == nil {
		all := nemesis.Statuses(ctx, r.rt, r.sys, r.cluster)
		r.recordStates(all)
		r.rec.leads(leadersOf(all))
		harness.Sleep(ctx, r.rt, r.rt.Now()+watchEvery)
	}
}

func (r *run) recordStates(all []cluster.Status) {
	now := r.rt.Now() // one look, one time
	for _, s := range all {
		r.rec.event(harness.Event{Time: now, Kind: harness.StateEvent, Node: s.Node, Role: s.Role,
			Term: s.Term, Leader: s.Leader, Applied: s.Applied, Hash: s.Hash, Shard: s.Shard})
	}
}

// leadersOf is who leads, in which term; of several shards, who leads each.
func leadersOf(all []cluster.Status) (nodes string, term uint64) {
	parts := nemesis.ByShard(all)
	if len(parts) <= 1 {
		return nemesis.LeaderOf(all)
	}
	var each []string
	for _, part := range parts {
		node, _ := nemesis.LeaderOf(part)
		each = append(each, cmp.Or(node, "nobody"))
	}
	return strings.Join(each, ", "), 0
}

// together reports whether every node has said its position in each log, the same.
func (r *run) together(all []cluster.Status) bool {
	parts := nemesis.ByShard(all)
	for _, part := range parts {
		for _, s := range part {
			if s.Applied != part[0].Applied {
				return false
			}
		}
	}
	return len(all) == r.plan.Nodes*r.shards()
}

// shards is how many logs the nodes hold.
func (r *run) shards() int { return cluster.ShardsOf(r.sys, r.options) }

// shardOf says which log an object is in; nil if there is one.
func (r *run) shardOf() func(key string) int {
	s, ok := r.sys.(cluster.Sharded)
	if !ok || r.shards() == 1 {
		return nil
	}
	return func(key string) int { return s.ShardOf(key, r.options) }
}

// awaitAgreement waits until all nodes report the same position in the log, and hold
// the same where each can tell by itself, or until they have had all the time that they
// may take. It records their states.
func (r *run) awaitAgreement(ctx context.Context) {
	i, informs := r.sys.(cluster.Informer)
	informs = informs && i.Tells().Has(harness.Position)
	digester, digests := r.sys.(cluster.Digester)
	if !informs && !digests {
		return
	}
	begun := r.rt.Now()
	until := begun + time.Duration(r.plan.ServeWithin) + time.Second // a little more proves more
	for next := begun; ; {
		all := nemesis.Statuses(ctx, r.rt, r.sys, r.cluster)
		agree := !informs || r.together(all)
		var held []harness.Event
		if digests {
			held = r.digests(ctx, digester)
			agree = agree && len(held) == r.plan.Nodes
			for _, e := range held {
				agree = agree && e.Applied == held[0].Applied && e.Hash == held[0].Hash
			}
		}
		over := agree || r.rt.Now() > until || ctx.Err() != nil
		if over || r.rt.Now() >= next {
			r.recordStates(all)
			now := r.rt.Now() // one look, one time
			for _, e := range held {
				e.Time = now
				r.rec.event(e)
			}
			next += agreeEvery
		}
		if over {
			return
		}
		harness.Sleep(ctx, r.rt, r.rt.Now()+100*time.Millisecond)
	}
}

// digests asks every node by itself what it holds; those that don't answer are left out.
func (r *run) digests(ctx context.Context, d cluster.Digester) (held []harness.Event) {
	nodes, keys := r.cluster.Nodes(), r.rec.used()
	answers := make([]*harness.Event, len(nodes))
	harness.Parallel(r.rt, len(nodes), func(i int) {
		ctx, cancel := r.rt.WithTimeout(ctx, digestPatience)
		defer cancel()
		position, digest, err := d.Digest(ctx, r.cluster, nodes[i].Name, keys, r.options)
		if err == nil {
			answers[i] = &harness.Event{Kind: harness.StateEvent, Node: nodes[i].Name, Applied: position, Hash: digest}
		}
	})
	for _, e := range answers {
		if e != nil {
			held = append(held, *e)
		}
	}
	return held
}
