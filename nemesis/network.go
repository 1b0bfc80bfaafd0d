package nemesis

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"coup/cluster"
	"coup/harness"
)

// partition cuts all links between the sides, in both directions.
func partition(ctx context.Context, n *Nemesis, s *strike) (func(context.Context) error, error) {
	for _, p := range n.sides(s) {
		s.links = append(s.links, harness.Link{From: p[0], To: p[1]}, harness.Link{From: p[1], To: p[0]})
	}
	return n.cut(ctx, s, 1)
}

// oneway cuts all links between the sides in one direction: the struck side
// is either not heard any more, or deaf.
func oneway(ctx context.Context, n *Nemesis, s *strike) (func(context.Context) error, error) {
	deaf := s.rand.IntN(2) == 0
	for _, p := range n.sides(s) {
		link := harness.Link{From: p[0], To: p[1]}
		if deaf {
			link = harness.Link{From: p[1], To: p[0]}
		}
		s.links = append(s.links, link)
	}
	return n.cut(ctx, s, 1)
}

// loss loses a share of the packets between the sides.
func loss(ctx context.Context, n *Nemesis, s *strike) (func(context.Context) error, error) {
	for _, p := range n.sides(s) {
		s.links = append(s.links, harness.Link{From: p[0], To: p[1]}, harness.Link{From: p[1], To: p[0]})
	}
	return n.cut(ctx, s, 0.2+0.4*s.rand.Float64())
}

// isolateClients loses all packets from clients to the victims.
func isolateClients(ctx context.Context, n *Nemesis, s *strike) (func(context.Context) error, error) {
	for _, node := range s.nodes {
		s.links = append(s.links, harness.Link{To: node})
	}
	return n.cut(ctx, s, 1)
}

// sides returns the pairs of nodes that the target separates. It leaves only the
// nodes on the struck side in s.nodes.
func (n *Nemesis) sides(s *strike) [][2]string {
	pairs := separate(s.Target, s.nodes, n.names())
	switch s.Target {
	case Halves:
		s.nodes = s.nodes[:len(s.nodes)/2]
	case Bridge:
		half := (len(s.nodes) - 1) / 2
		s.nodes = s.nodes[:half]
	}
	slices.Sort(s.nodes)
	return pairs
}

// cut makes the links of the strike lose the share p of their packets, on top
// of what other strikes have done, and probes each of them.
func (n *Nemesis) cut(ctx context.Context, s *strike, p float64) (func(context.Context) error, error) {
	if len(s.links) == 0 {
		return nil, errNobody
	}
	var cuts []cluster.Cut
	for _, l := range s.links {
		cuts = append(cuts, cluster.Cut{From: l.From, To: l.To, Loss: p})
	}
	s.begin()
	heal := func(ctx context.Context) error { return n.setCuts(ctx, s.id, nil) }
	if err := n.setCuts(ctx, s.id, cuts); err != nil {
		return heal, err
	}
	shares, err := n.probe(ctx, s.links)
	if err != nil {
		return heal, err
	}
	var arrived []string
	for i, l := range s.links {
		if p >= 1 && shares[i] > 0 || shares[i] >= 1 {
			return heal, fmt.Errorf("%.0f%% of the probes from %s to %s still arrive", shares[i]*100, side(l.From), l.To)
		}
		arrived = append(arrived, fmt.Sprintf("%.0f%%", shares[i]*100))
	}
	if p >= 1 {
		s.evidence = fmt.Sprintf("no probe passes on any of %d links", len(s.links))
	} else {
		s.evidence = fmt.Sprintf("of the probes on %d links pass %s", len(s.links), strings.Join(arrived, " "))
	}
	return heal, nil
}

func side(from string) string {
	if from == "" {
		return "clients"
	}
	return from
}

// setCuts replaces the cuts of one strike and gives the network the union of the
// cuts of all strikes.
func (n *Nemesis) setCuts(ctx context.Context, id int, cuts []cluster.Cut) error {
	// The lock is held while the network changes: of two strikes, the one that
	// computed the union last must also apply it last.
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cuts == nil {
		n.cuts = map[int][]cluster.Cut{}
	}
	n.cuts[id] = cuts
	var union []cluster.Cut
	for i := 1; i <= n.nextID; i++ {
		union = append(union, n.cuts[i]...)
	}
	return n.Cluster.SetCuts(ctx, union)
}

// probe probes all links at once and returns the share that arrived on each.
func (n *Nemesis) probe(ctx context.Context, links []harness.Link) ([]float64, error) {
	shares := make([]float64, len(links))
	names := make([]string, len(links))
	err := n.all(names, func(i int, _ string) (err error) {
		shares[i], err = n.Cluster.Probe(ctx, links[i].From, links[i].To)
		return err
	})
	return shares, err
}
