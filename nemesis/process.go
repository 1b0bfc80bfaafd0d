package nemesis

import (
	"context"
	"errors"
	"slices"
	"strings"

	"coup/harness"
)

// kill ends the victims' processes at once.
func kill(ctx context.Context, n *Nemesis, s *strike) (func(context.Context) error, error) {
	return n.onNodes(ctx, s, n.Cluster.Kill, n.Cluster.Start)
}

// stop lets the victims end in their own way.
func stop(ctx context.Context, n *Nemesis, s *strike) (func(context.Context) error, error) {
	return n.onNodes(ctx, s, n.Cluster.Stop, n.Cluster.Start)
}

// pause freezes the victims.
func pause(ctx context.Context, n *Nemesis, s *strike) (func(context.Context) error, error) {
	return n.onNodes(ctx, s, n.Cluster.Pause, n.Cluster.Resume)
}

// onNodes applies hurt to all victims at once and heals them with mend. It leaves out
// victims whose processes another strike holds.
func (n *Nemesis) onNodes(ctx context.Context, s *strike,
	hurt func(context.Context, string) (string, error), mend func(context.Context, string) error,
) (func(context.Context) error, error) {
	if s.nodes = n.claim(s.id, s.nodes); len(s.nodes) == 0 {
		return nil, errNobody
	}
	s.begin()
	evidence := make([]string, len(s.nodes))
	err := n.all(s.nodes, func(i int, node string) (err error) {
		evidence[i], err = hurt(ctx, node)
		return err
	})
	s.evidence = strings.Join(evidence, "; ")
	return func(ctx context.Context) error {
		defer n.release(s.id)
		return n.all(s.nodes, func(_ int, node string) error { return mend(ctx, node) })
	}, err
}

// all calls fn for every node at once and returns when all are done.
func (n *Nemesis) all(nodes []string, fn func(i int, node string) error) error {
	errs := make([]error, len(nodes))
	harness.Parallel(n.Runtime, len(nodes), func(i int) { errs[i] = fn(i, nodes[i]) })
	return errors.Join(errs...)
}

// claim gives the strike those of nodes that no other strike holds, and returns them.
func (n *Nemesis) claim(id int, nodes []string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.busy == nil {
		n.busy = map[string]int{}
	}
	var got []string
	for _, node := range nodes {
		if _, taken := n.busy[node]; !taken {
			n.busy[node] = id
			got = append(got, node)
		}
	}
	slices.Sort(got)
	return got
}

func (n *Nemesis) release(id int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for node, by := range n.busy {
		if by == id {
			delete(n.busy, node)
		}
	}
}

// isBusy reports whether a strike holds the node's processes, or a part of its machine
// (see partOf).
func (n *Nemesis) isBusy(node string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, busy := n.busy[node]
	return busy
}

// Take keeps strikes away from the node's processes until Free, because they have
// ended by themselves. It reports false if a strike holds them.
func (n *Nemesis) Take(node string) bool { return len(n.claim(taken, []string{node})) > 0 }

// Free is the inverse of Take.
func (n *Nemesis) Free(node string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.busy[node] == taken {
		delete(n.busy, node)
	}
}

// taken is used in place of a strike's id; ids start at 1.
const taken = -1

// Has reports whether a strike holds the node's processes, so that it is expected
// that the node does not run.
func (n *Nemesis) Has(node string) bool { return n.isBusy(node) }
