package nemesis

import (
	"context"
	"fmt"
	"time"

	"coup/cluster"
	"coup/harness"
)

// delay makes packets between the sides late: by 20 to 200 ms, and half as much
// more on average.
func delay(ctx context.Context, n *Nemesis, s *strike) (func(context.Context) error, error) {
	late := 20*time.Millisecond + time.Duration(s.rand.Int64N(int64(180*time.Millisecond)))
	return n.shape(ctx, s, cluster.Cut{Delay: late, Jitter: late / 2}, func(c cluster.Links) (string, error) {
		return n.pings(ctx, c, s.links, 0, late)
	})
}

// bandwidth lets 2 to 10 kB a second pass each link between the sides.
func bandwidth(ctx context.Context, n *Nemesis, s *strike) (func(context.Context) error, error) {
	rate := 2000 + s.rand.IntN(8000)
	return n.shape(ctx, s, cluster.Cut{Rate: rate}, func(c cluster.Links) (string, error) {
		return n.pings(ctx, c, s.links, rate/10, 100*time.Millisecond)
	})
}

// reset breaks the connections between the sides, and lets nobody open new ones.
func reset(ctx context.Context, n *Nemesis, s *strike) (func(context.Context) error, error) {
	before, _ := n.Cluster.(cluster.Links)
	pairs := n.sides(s)
	broken := 0
	for _, p := range pairs {
		if before != nil {
			open, _, err := before.Connections(ctx, p[0], p[1])
			if err != nil {
				return nil, err
			}
			broken += open
		}
	}
	return n.shapePairs(ctx, s, pairs, cluster.Cut{Reset: true}, func(c cluster.Links) (string, error) {
		for _, l := range s.links {
			open, refused, err := c.Connections(ctx, l.From, l.To)
			if err != nil {
				return "", err
			}
			if open > 0 || !refused {
				return "", fmt.Errorf("%d connections from %s to %s are open, and another one refused: %t", open, l.From, l.To, refused)
			}
		}
		return fmt.Sprintf("%d connections were reset, and none is open on any of %d links", broken, len(s.links)), nil
	})
}

// pings sends a packet of size bytes over each link, all at once. It fails if one
// arrives in less time than least.
func (n *Nemesis) pings(ctx context.Context, c cluster.Links, links []harness.Link, size int, least time.Duration) (string, error) {
	took := make([]time.Duration, len(links))
	names := make([]string, len(links))
	if err := n.all(names, func(i int, _ string) (err error) {
		took[i], err = c.Ping(ctx, links[i].From, links[i].To, size)
		return err
	}); err != nil {
		return "", err
	}
	most := time.Duration(0)
	for i, l := range links {
		if took[i] < least {
			return "", fmt.Errorf("a packet of %d bytes passes from %s to %s in %v", size, l.From, l.To, took[i])
		}
		most = max(most, took[i])
	}
	return fmt.Sprintf("packets of %d bytes take up to %v on %d links", size, most.Round(time.Millisecond), len(links)), nil
}

// shape impairs all links between the sides, in both directions, in addition to
// what other strikes do to them. prove returns the evidence.
func (n *Nemesis) shape(ctx context.Context, s *strike, how cluster.Cut, prove func(cluster.Links) (string, error)) (func(context.Context) error, error) {
	return n.shapePairs(ctx, s, n.sides(s), how, prove)
}

func (n *Nemesis) shapePairs(ctx context.Context, s *strike, pairs [][2]string, how cluster.Cut, prove func(cluster.Links) (string, error)) (func(context.Context) error, error) {
	c, ok := n.Cluster.(cluster.Links)
	if !ok {
		return nil, errLacking
	}
	if len(pairs) == 0 {
		return nil, errNobody
	}
	var cuts []cluster.Cut
	for _, p := range pairs {
		for _, l := range []harness.Link{{From: p[0], To: p[1]}, {From: p[1], To: p[0]}} {
			s.links = append(s.links, l)
			how.From, how.To = l.From, l.To
			cuts = append(cuts, how)
		}
	}
	s.begin()
	heal := func(ctx context.Context) error { return n.setCuts(ctx, s.id, nil) }
	if err := n.setCuts(ctx, s.id, cuts); err != nil {
		return heal, err
	}
	var err error
	s.evidence, err = prove(c)
	return heal, err
}
