package nemesis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"coup/cluster"
	"coup/harness"
)

// The modes of a change of membership.
const (
	Leave  = "leave"  // no member, until the strike ends
	Demote = "demote" // no vote, until the strike ends
	Rejoin = "rejoin" // removed, taken back at once, but without a vote until the strike ends
)

func needsMembership(sys cluster.System, nodes int, o cluster.Options) error {
	m, ok := sys.(cluster.Membership)
	if !ok {
		return fmt.Errorf("the members of %s can't be changed while it runs", sys.Name())
	}
	if err := m.CanSetMember(o); err != nil {
		return err
	}
	// With two voters, a leader that removes itself may be the only node that knows
	// of it. Then neither node can be elected in hashicorp/raft, and nobody could heal
	// that. (Section 4.2.2 of Ongaro's thesis says how an election would be possible.)
	if nodes < 3 {
		return errors.New("two nodes can't do without one: it needs 3")
	}
	return nil
}

// membership asks the leader to remove the victims or to take their votes, and in
// the end to make them voters again. At any time more than half of all nodes are
// voters, however many strikes there are.
func membership(ctx context.Context, n *Nemesis, s *strike) (func(context.Context) error, error) {
	if !s.began { // otherwise it goes on with the nodes that it claimed before
		if s.nodes = n.unseat(s.id, s.nodes); len(s.nodes) == 0 {
			return nil, errNobody
		}
		s.begin()
	}
	heal := func(ctx context.Context) error {
		for _, node := range s.nodes {
			if _, err := n.setMember(ctx, node, cluster.Voter, harness.Forever); err != nil {
				return err // the node stays out, until Reinstate
			}
		}
		n.release(s.id)
		return nil
	}
	var evidence []string
	for _, node := range s.nodes {
		var said string
		var err error
		for _, as := range steps[s.Mode] {
			if said, err = n.setMember(ctx, node, as, s.until); err != nil {
				break
			}
			evidence = append(evidence, said)
		}
		if err != nil && len(evidence) == 0 {
			return heal, err
		}
		if err != nil { // a part was done, and that part is a fault, too
			evidence = append(evidence, err.Error())
			break
		}
	}
	s.evidence = strings.Join(evidence, "; ")
	return heal, nil
}

// steps says for each mode which suffrages a node is given, one after the other.
var steps = map[string][]cluster.Suffrage{
	Leave:  {cluster.Absent},
	Demote: {cluster.Nonvoter},
	Rejoin: {cluster.Absent, cluster.Nonvoter},
}

// unseat claims for the strike those of nodes that are voters, as many as leave a
// majority of all nodes voters.
func (n *Nemesis) unseat(id int, nodes []string) []string {
	n.mu.Lock()
	n.unseated = true
	all := n.names()
	spare := (len(all) - 1) / 2
	for _, name := range all {
		if _, out := n.busy[member(name)]; out {
			spare--
		}
	}
	n.mu.Unlock()
	var got []string
	for _, node := range nodes {
		if len(got) < spare && len(n.claim(id, []string{member(node)})) > 0 {
			got = append(got, node)
		}
	}
	return got
}

// member is the name under which a strike claims a node's place in the configuration.
func member(node string) string { return "member " + node }

// setMember asks the leader to give a node this suffrage, and returns evidence. It
// asks again, whichever node leads, until the change is confirmed. At the time until,
// a change that a leader has begun is enough. The error wraps errNobody if no leader
// carried the change out.
func (n *Nemesis) setMember(ctx context.Context, node string, as cluster.Suffrage, until time.Duration) (evidence string, err error) {
	sys := n.System.(cluster.Membership) // or Needs has refused it
	var last error
	pending, led := "", false
	for ; ctx.Err() == nil; harness.Sleep(ctx, n.Runtime, n.Runtime.Now()+50*time.Millisecond) {
		if pending != "" && n.Runtime.Now() >= until {
			return pending, nil
		}
		leader, _ := n.leader(ctx)
		if led = leader != ""; !led {
			continue
		}
		asked, cancel := n.Runtime.WithTimeout(ctx, adminPatience)
		members, err := sys.SetMember(asked, n.Cluster, leader, node, as)
		cancel()
		if err == nil {
			return fmt.Sprintf("%s is %s by the word of %s (%s)", node, article[as], leader, listed(members)), nil
		}
		if errors.Is(err, cluster.ErrPending) {
			pending = fmt.Sprintf("%s has begun to make %s %s, and could not finish it", leader, node, article[as])
		}
		last = err
	}
	return "", fmt.Errorf("%s could not be made %s: %w", node, article[as], inVain(led, last))
}

// inVain is the error when no leader carried a request out: led says whether there
// was a leader in the end, and last is the error of the last request, if there was
// one. Other strikes may have stopped the leader, or its answer. Then nobody knows
// whether this strike had an effect, and it does not count. (A run in which a fault
// never has an effect is still reported.)
func inVain(led bool, last error) error {
	switch {
	case last == nil:
		return fmt.Errorf("%w: no node led", errNobody)
	case !led:
		return skipped{fmt.Errorf("%w, and then no node led", last)}
	}
	return skipped{last}
}

// skipped is an error with its own words that wraps errNobody.
type skipped struct{ error }

func (skipped) Is(target error) bool { return target == errNobody }

var article = map[cluster.Suffrage]string{
	cluster.Voter: "a voter", cluster.Nonvoter: "a non-voter", cluster.Absent: "no member",
}

func listed(m cluster.Members) string {
	said := "voters " + strings.Join(m.Voters, " ")
	if len(m.Nonvoters) > 0 {
		said += ", non-voters " + strings.Join(m.Nonvoters, " ")
	}
	return said
}

// Reinstate makes every node a voter again, if a strike may have changed that.
// Everything else must be healed before. It may be called at any time, and more
// than once.
func (n *Nemesis) Reinstate(ctx context.Context) error {
	n.mu.Lock()
	unseated := n.unseated
	n.mu.Unlock()
	if !unseated {
		return nil
	}
	ctx, cancel := n.bounded(ctx)
	defer cancel()
	// A system may refuse a node until another one has its vote back (etcd has one learner
	// at a time), so that each gets its turn again.
	out := n.names()
	for {
		var failed error
		out = slices.DeleteFunc(out, func(node string) bool {
			turn, cancel := n.Runtime.WithTimeout(ctx, 2*adminPatience)
			defer cancel()
			_, err := n.setMember(turn, node, cluster.Voter, harness.Forever)
			if err != nil {
				failed = err
			}
			return err == nil
		})
		if failed == nil || ctx.Err() != nil {
			return failed
		}
	}
}
