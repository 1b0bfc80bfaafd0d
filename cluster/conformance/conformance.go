// Package conformance is the contract of backends and of systems, as tests that any
// of them can be put to: [Check] and [CheckSystem].
package conformance

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"coup/cluster"
	"coup/harness"
	"coup/nemesis"
)

// Check breaks and heals a cluster of at least three nodes of the system in
// every way there is, and returns all that is not as cluster.Cluster promises.
// It runs under rt and leaves the cluster healed.
func Check(ctx context.Context, rt harness.Runtime, sys cluster.System, c cluster.Cluster) error {
	k := &check{ctx: ctx, rt: rt, sys: sys, c: c}
	for _, n := range c.Nodes() {
		k.nodes = append(k.nodes, n.Name)
	}
	if len(k.nodes) < 3 {
		return errors.New("conformance: a cluster of three nodes is needed")
	}
	for _, n := range k.nodes {
		k.eventually("the new node "+n+" answers", func() bool { return k.answers(n) })
	}
	k.processes()
	k.network()
	return errors.Join(k.errs...)
}

type check struct {
	ctx   context.Context
	rt    harness.Runtime
	sys   cluster.System
	c     cluster.Cluster
	nodes []string
	errs  []error
}

func (k *check) expect(what string, holds bool) {
	if !holds {
		k.errs = append(k.errs, errors.New("not so: "+what))
	}
}

// patience is for what must come true: on a machine that is busy an answer or a probe
// may be late. What must not happen is looked at once.
const patience = 2 * time.Minute

func (k *check) eventually(what string, holds func() bool) {
	pause := 20 * time.Millisecond
	wait := max(patience, cluster.TimingOf(k.sys, cluster.Options{}).Start)
	for until := k.rt.Now() + wait; !holds(); pause = min(pause*5/4, time.Second) {
		if k.rt.Now() > until || k.ctx.Err() != nil {
			k.expect(fmt.Sprintf("%s, within %v", what, wait), false)
			return
		}
		harness.Sleep(k.ctx, k.rt, k.rt.Now()+pause)
	}
}

func (k *check) answers(node string) bool {
	for _, s := range nemesis.Statuses(k.ctx, k.rt, k.sys, k.c) {
		if s.Node == node {
			return true
		}
	}
	return false
}

// done expects that a fault bit and said so in one line.
func (k *check) done(what, evidence string, err error) {
	if err != nil {
		k.errs = append(k.errs, fmt.Errorf("%s: %w", what, err))
		return
	}
	k.expect(what+" gives evidence in one line", evidence != "" && !strings.Contains(evidence, "\n"))
}

func (k *check) processes() {
	victim := k.nodes[1]
	for _, end := range []struct {
		name string
		do   func(context.Context, string) (string, error)
	}{{"kill", k.c.Kill}, {"stop", k.c.Stop}} {
		evidence, err := end.do(k.ctx, victim)
		k.done(end.name+" "+victim, evidence, err)
		k.expect(victim+" does not answer after "+end.name, !k.answers(victim))
		_, err = end.do(k.ctx, victim)
		k.expect(end.name+" of a node that is dead is an error", err != nil)
		k.expect("start "+victim, k.c.Start(k.ctx, victim) == nil)
		k.eventually(victim+" answers after a start", func() bool { return k.answers(victim) })
		k.expect("start of a node that runs is no error", k.c.Start(k.ctx, victim) == nil)
		k.eventually("start of a node that runs changes nothing", func() bool { return k.answers(victim) })
	}
	evidence, err := k.c.Pause(k.ctx, victim)
	k.done("pause "+victim, evidence, err)
	k.expect(victim+" does not answer while it is paused", !k.answers(victim))
	k.expect("resume "+victim, k.c.Resume(k.ctx, victim) == nil)
	k.eventually(victim+" answers after it was resumed", func() bool { return k.answers(victim) })

	_, err = k.c.Kill(k.ctx, "nobody")
	k.expect("killing a node that there is not is an error", err != nil)
}

func (k *check) probe(from, to string) float64 {
	share, err := k.c.Probe(k.ctx, from, to)
	if err != nil {
		k.errs = append(k.errs, fmt.Errorf("probe from %q to %s: %w", from, to, err))
	}
	return share
}

func (k *check) cuts(cuts ...cluster.Cut) {
	if err := k.c.SetCuts(k.ctx, cuts); err != nil {
		k.errs = append(k.errs, fmt.Errorf("set cuts: %w", err))
	}
}

func (k *check) network() {
	a, b, c := k.nodes[0], k.nodes[1], k.nodes[2]
	k.eventually("probes pass between healthy nodes", func() bool { return k.probe(a, b) == 1 && k.probe(b, a) == 1 && k.probe("", a) == 1 })

	k.cuts(cluster.Cut{From: a, To: b, Loss: 1})
	k.expect("nothing passes a one-way cut", k.probe(a, b) == 0)
	k.eventually("the other direction of a one-way cut is open", func() bool { return k.probe(b, a) == 1 })
	k.eventually("a cut leaves other links alone", func() bool { return k.probe(a, c) == 1 && k.probe(c, b) == 1 })
	k.eventually("a node that is cut off from a peer still answers clients", func() bool { return k.answers(b) })

	evidence, err := k.c.Kill(k.ctx, b)
	k.done("kill "+b, evidence, err)
	k.expect("start "+b, k.c.Start(k.ctx, b) == nil)
	k.eventually(b+" answers", func() bool { return k.answers(b) })
	k.expect("a restart does not mend a cut", k.probe(a, b) == 0)

	k.cuts(cluster.Cut{From: a, To: b, Loss: 0.5}, cluster.Cut{From: b, To: a, Loss: 0.5})
	k.eventually("half of the packets pass a link that loses half", func() bool {
		half := k.probe(a, b)
		return half > 0.15 && half < 0.85
	})

	k.cuts(cluster.Cut{To: c, Loss: 1})
	k.eventually("new cuts replace the old ones", func() bool { return k.probe(a, b) == 1 })
	k.expect("no client reaches a node that is cut off from clients", k.probe("", c) == 0 && !k.answers(c))
	k.eventually("its peers still do", func() bool { return k.probe(a, c) == 1 && k.probe(c, a) == 1 })

	k.cuts()
	k.eventually("no cuts, no loss", func() bool { return k.probe(a, b) == 1 && k.probe("", c) == 1 })
	k.eventually(c+" answers again", func() bool { return k.answers(c) })
}
