package nemesis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"coup/cluster"
	"coup/harness"
)

// adminPatience is how long a leader may take to carry out what an operator asks.
// hashicorp/raft gives up a transfer after the election timeout.
const adminPatience = 5 * time.Second

func needsTransfer(sys cluster.System, nodes int, o cluster.Options) error {
	if _, ok := sys.(cluster.Transferer); !ok {
		return fmt.Errorf("the leader of %s can't be told to hand the lead over", sys.Name())
	}
	if n := cluster.ShardsOf(sys, o); n > 1 {
		return fmt.Errorf("with %d shards the nodes themselves hand the lead to where it should be", n)
	}
	if nodes < 2 {
		return errors.New("there is nobody to hand the lead to: it needs 2 nodes")
	}
	return nil
}

// transfer asks the leader once to transfer leadership to another node: to a follower
// that no other strike holds, or, if the target is Random, to any node, even one that is
// dead, frozen or no member. It has an effect when the leader has begun the transfer,
// whether or not the transfer succeeds. There is nothing to heal.
func transfer(ctx context.Context, n *Nemesis, s *strike) (func(context.Context) error, error) {
	sys := n.System.(cluster.Transferer) // or Needs has refused it
	names := n.names()
	s.rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	began, led := false, false
	var last error
	for ; ctx.Err() == nil; harness.Sleep(ctx, n.Runtime, n.Runtime.Now()+50*time.Millisecond) {
		leader, term := n.leader(ctx)
		if led = leader != ""; !led {
			continue
		}
		to := ""
		for _, name := range names {
			if name != leader && to == "" && (s.Target == Random || !n.isBusy(name) && !n.isBusy(member(name))) {
				to = name
			}
		}
		if to == "" {
			if began {
				continue
			}
			return nil, errNobody
		}
		s.nodes = []string{leader}
		if !began {
			began = true
			s.begin()
		}
		asked, cancel := n.Runtime.WithTimeout(ctx, adminPatience)
		refused, err := sys.TransferLeader(asked, n.Cluster, leader, to)
		cancel()
		if err == nil {
			s.evidence = n.transferred(ctx, leader, term, to, refused)
			return nil, nil
		}
		last = fmt.Errorf("%s was asked to hand the lead to %s: %w", leader, to, err)
	}
	return nil, inVain(led, last)
}

// transferred tells what came of a transfer.
func (n *Nemesis) transferred(ctx context.Context, leader string, term uint64, to, refused string) string {
	if refused != "" {
		now, newer := n.leader(ctx)
		return fmt.Sprintf("%s (term %d) was told to hand the lead to %s and has not: %s; %s", leader, term, to, refused, leads(now, newer))
	}
	until := n.Runtime.Now() + 2*time.Second
	for {
		now, newer := n.leader(ctx)
		if newer > term || n.Runtime.Now() > until || ctx.Err() != nil {
			return fmt.Sprintf("%s (term %d) has given the lead away to %s; %s", leader, term, to, leads(now, newer))
		}
		harness.Sleep(ctx, n.Runtime, n.Runtime.Now()+20*time.Millisecond)
	}
}

func leads(node string, term uint64) string {
	if node == "" {
		return "nobody leads after that"
	}
	return fmt.Sprintf("%s leads after that (term %d)", node, term)
}
