package nemesis

import (
	"context"
	"fmt"

	"coup/cluster"
	"coup/harness"
)

func needsPromoter(sys cluster.System, nodes int, _ cluster.Options) error {
	if _, ok := sys.(cluster.Promoter); !ok {
		return fmt.Errorf("nobody is promoted by hand in %s", sys.Name())
	}
	if nodes < 2 {
		return fmt.Errorf("there is nobody to promote: it needs 2 nodes")
	}
	return nil
}

// promote is what a person does who watches the followers: when all that answer have lost
// their leader, and still have a while later (the entry's For), the one that has come
// furthest is promoted. For as long as a follower hears of its leader there is nobody to
// promote, so a strike waits for another one that hits the leader. There is nothing to heal.
func promote(ctx context.Context, n *Nemesis, s *strike) (func(context.Context) error, error) {
	sys := n.System.(cluster.Promoter) // or Needs has refused it
	lost, _ := forsaken(Statuses(ctx, n.Runtime, n.System, n.Cluster))
	if lost.Node == "" {
		return nil, fmt.Errorf("%w: the followers hear of their leader", errNobody)
	}
	since := n.Runtime.Now()
	harness.Sleep(ctx, n.Runtime, since+s.For)
	best, term := forsaken(Statuses(ctx, n.Runtime, n.System, n.Cluster))
	if best.Node == "" {
		return nil, fmt.Errorf("%w: the followers hear of their leader again", errNobody)
	}
	s.nodes = []string{best.Node}
	s.begin()
	asked, cancel := n.Runtime.WithTimeout(ctx, adminPatience)
	defer cancel()
	if err := sys.Promote(asked, n.Cluster, best.Node, term+1); err != nil {
		return nil, fmt.Errorf("%s was to be promoted: %w", best.Node, err)
	}
	s.evidence = fmt.Sprintf("%s was promoted (term %d, position %d) after the followers had been without a leader for %s and more", best.Node, term+1, best.Commit, s.For)
	return nil, nil
}

// forsaken is the follower that has come furthest in the log of the newest leader that any
// of them knows, if no follower that answered hears of a leader; otherwise its Node is "".
// term is the newest that any node has told.
func forsaken(all []cluster.Status) (best cluster.Status, term uint64) {
	for _, s := range all {
		term = max(term, s.Term)
	}
	for _, s := range all {
		switch {
		case s.Role == "leader":
		case s.Leader != "":
			return cluster.Status{}, term
		case best.Node == "" || s.Term > best.Term || s.Term == best.Term && s.Commit > best.Commit:
			best = s
		}
	}
	return best, term
}
