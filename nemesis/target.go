package nemesis

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"coup/cluster"
	"coup/harness"
)

// The targets. Targets of nodes say which nodes are struck; for link faults they
// mean the links between these nodes and the rest. The name of a node is a target as well,
// and that of a role, which stands for one node of it.
const (
	Leader   = "leader"   // the node that leads in the newest term; of several shards, one at random
	Follower = "follower" // one node that does not lead, as far as the nodes say; of several shards, one at random
	Random   = "random"   // one node
	Minority = "minority" // less than half of the nodes, at least one
	Majority = "majority" // the smallest majority
	All      = "all"      // every node; for links: each node alone

	Halves = "halves" // two groups, one of them a majority if the number is odd
	Ring   = "ring"   // every node reaches a majority, no two nodes the same one
	Bridge = "bridge" // two halves, connected by one node that reaches both
)

var (
	nodeTargets = []string{Leader, Follower, Random, Minority, Majority, All}
	linkTargets = []string{Leader, Follower, Random, Minority, Majority, All, Halves, Ring, Bridge}
)

// IsTarget reports whether a word is one of the targets above.
func IsTarget(word string) bool { return slices.Contains(linkTargets, word) }

// statusPatience is how long a node may take to say how it is. A node that is
// dead, frozen or cut off does not answer at all.
const statusPatience = 300 * time.Millisecond

// Statuses asks all nodes at once how they are; those that don't answer are
// left out. The order is that of the nodes. If the system is no [cluster.Informer],
// the result is empty.
func Statuses(ctx context.Context, rt harness.Runtime, sys cluster.System, c cluster.Access) []cluster.Status {
	asked, ok := sys.(cluster.Informer)
	if !ok {
		return nil
	}
	ask := func(ctx context.Context, node string) ([]cluster.Status, error) {
		s, err := asked.Status(ctx, c, node)
		return []cluster.Status{s}, err
	}
	if sharded, ok := sys.(cluster.Sharded); ok {
		ask = func(ctx context.Context, node string) ([]cluster.Status, error) {
			return sharded.Statuses(ctx, c, node)
		}
	}
	nodes := c.Nodes()
	answers := make([][]cluster.Status, len(nodes))
	harness.Parallel(rt, len(nodes), func(i int) {
		ctx, cancel := rt.WithTimeout(ctx, statusPatience)
		defer cancel()
		if all, err := ask(ctx, nodes[i].Name); err == nil {
			for j := range all {
				all[j].Node = nodes[i].Name
			}
			answers[i] = all
		}
	})
	return slices.Concat(answers...)
}

// ByShard are statuses by the log that they are about, in order: one part if there is one
// log, and none if no node has answered.
func ByShard(all []cluster.Status) (parts [][]cluster.Status) {
	byShard := map[int][]cluster.Status{}
	for _, s := range all {
		byShard[s.Shard] = append(byShard[s.Shard], s)
	}
	for _, shard := range slices.Sorted(maps.Keys(byShard)) {
		parts = append(parts, byShard[shard])
	}
	return parts
}

// tellsLeader returns an error if the nodes of a system do not say who leads.
func tellsLeader(sys cluster.System) error {
	if !cluster.FactsOf(sys).Has(harness.Leader) {
		return fmt.Errorf("%s can't be asked who leads, so that nothing can be aimed at a leader or follower", sys.Name())
	}
	return nil
}

// LeaderOf returns the node that leads in the newest term, or "". If several lead in
// one term, as in a system without terms, it is the one that most nodes name as their
// leader, and of those the last one in the order of the nodes.
func LeaderOf(all []cluster.Status) (node string, term uint64) {
	followers := map[string]int{}
	for _, s := range all {
		followers[s.Leader]++
	}
	for _, s := range all {
		if s.Role == "leader" && (node == "" || s.Term > term || s.Term == term && followers[s.Node] >= followers[node]) {
			node, term = s.Node, s.Term
		}
	}
	return node, term
}

// leader asks all nodes who leads; "" if nobody says so.
func (n *Nemesis) leader(ctx context.Context) (node string, term uint64) { return n.leaderOf(ctx, 0) }

// leaderOf is leader in a shard; 0: there is one log.
func (n *Nemesis) leaderOf(ctx context.Context, shard int) (node string, term uint64) {
	all := Statuses(ctx, n.Runtime, n.System, n.Cluster)
	node, term = LeaderOf(slices.DeleteFunc(all, func(s cluster.Status) bool { return shard != 0 && s.Shard != shard }))
	if node != "" {
		n.mu.Lock()
		if n.led == nil {
			n.led = map[int]led{}
		}
		n.led[shard] = led{node, n.Runtime.Now()}
		n.mu.Unlock()
	}
	return node, term
}

// led is a leader that was found, and when.
type led struct {
	node string
	at   time.Duration
}

// ledSince is the leader of a shard that any strike has found since then; "" if none has.
func (n *Nemesis) ledSince(shard int, then time.Duration) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.led[shard]
	if l.node == "" || l.at < then {
		return ""
	}
	return l.node
}

// names are the names of all nodes.
func (n *Nemesis) names() (all []string) {
	for _, node := range n.Cluster.Nodes() {
		all = append(all, node.Name)
	}
	return all
}

// inRole are the nodes of a role.
func (n *Nemesis) inRole(role string) (all []string) {
	for _, node := range n.Cluster.Nodes() {
		if role != "" && node.Role == role {
			all = append(all, node.Name)
		}
	}
	return all
}

// leaderless is how long a strike at a follower waits to hear who leads. If nobody
// leads for so long, any node will do. After the same time, a strike at the leader also
// accepts a leader that another strike has found: that strike often silences the leader
// before this one has asked it.
const leaderless = 5 * time.Second

// pick resolves a strike's target to nodes. If it can choose, it chooses nodes that no
// other strike holds. If a leader is needed and there is none, it waits for one until
// ctx ends.
func (n *Nemesis) pick(ctx context.Context, s *strike) ([]string, error) {
	names, r, target := n.names(), s.rand, s.Target
	taken := func(node string) bool { return n.isBusy(partOf(s.part, node)) }
	since := n.Runtime.Now()
	looked := since // a leader that others found before this time does not count
	shuffled := slices.Clone(names)
	r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	size := len(names)
	switch target {
	case Leader, Follower:
		if err := tellsLeader(n.System); err != nil {
			return nil, err
		}
		if n.Shards > 1 && s.shard == 0 {
			s.shard = 1 + r.IntN(n.Shards)
		}
		for {
			leader, _ := n.leaderOf(ctx, s.shard)
			if leader == "" && target == Leader && n.Runtime.Now()-s.asked >= leaderless {
				leader = n.ledSince(s.shard, looked)
			}
			looked = n.Runtime.Now()
			if leader != "" && target == Leader {
				return []string{leader}, nil
			}
			if leader != "" || target == Follower && n.Runtime.Now()-since >= leaderless {
				shuffled = slices.DeleteFunc(shuffled, func(node string) bool { return node == leader || taken(node) })
				if len(shuffled) == 0 {
					return nil, errNobody
				}
				return shuffled[:1], nil
			}
			if ctx.Err() != nil {
				return nil, fmt.Errorf("%w: no node led", errNobody)
			}
			harness.Sleep(ctx, n.Runtime, n.Runtime.Now()+50*time.Millisecond)
		}
	case Random:
		slices.SortStableFunc(shuffled, func(a, b string) int { return order(taken(a), taken(b)) })
		return shuffled[:1], nil
	case Minority:
		return shuffled[:max(1, 1+r.IntN(max(1, (size-1)/2)))], nil
	case Majority:
		return shuffled[:size/2+1], nil
	case All:
		return names, nil
	}
	if slices.Contains(names, target) {
		return []string{target}, nil
	}
	if in := n.inRole(target); len(in) > 0 {
		shuffled = slices.DeleteFunc(shuffled, func(node string) bool { return !slices.Contains(in, node) })
		slices.SortStableFunc(shuffled, func(a, b string) int { return order(taken(a), taken(b)) })
		return shuffled[:1], nil
	}
	return shuffled, nil // Halves, Ring, Bridge: the order is what counts
}

func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// separate returns the pairs of nodes that target keeps from each other; each
// pair once, its first node on the struck side.
func separate(target string, picked, all []string) [][2]string {
	between := func(as, bs []string) (pairs [][2]string) {
		for _, a := range as {
			for _, b := range bs {
				if a != b {
					pairs = append(pairs, [2]string{a, b})
				}
			}
		}
		return pairs
	}
	switch target {
	case All:
		var pairs [][2]string
		for i, a := range all {
			pairs = append(pairs, between([]string{a}, all[i+1:])...)
		}
		return pairs
	case Halves:
		half := len(picked) / 2
		return between(picked[:half], picked[half:])
	case Bridge:
		half := (len(picked) - 1) / 2
		return between(picked[:half], picked[half+1:])
	case Ring:
		// Nodes stand in a circle; each sees itself and its nearest
		// neighbours on both sides, as many as make a majority.
		var pairs [][2]string
		size := len(picked)
		reach := (size/2 + 1) / 2 // neighbours on each side
		for i := range picked {
			for j := i + 1; j < size; j++ {
				distance := min(j-i, size-(j-i))
				if distance > reach {
					pairs = append(pairs, [2]string{picked[i], picked[j]})
				}
			}
		}
		return pairs
	}
	rest := slices.DeleteFunc(slices.Clone(all), func(s string) bool { return slices.Contains(picked, s) })
	return between(picked, rest)
}
