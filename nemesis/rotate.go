package nemesis

import (
	"context"
	"fmt"

	"coup/cluster"
)

func needsKeys(sys cluster.System, _ int, o cluster.Options) error {
	r, ok := sys.(cluster.Rotator)
	if !ok {
		return fmt.Errorf("coup has no keys for %s", sys.Name())
	}
	return r.CanRotate(o)
}

// rotate gives new keys to all nodes and clients. Its healing withdraws the old ones. It
// waits for nobody: keys get into the folders of nodes that are dead or cut off as well.
func rotate(ctx context.Context, n *Nemesis, s *strike) (func(context.Context) error, error) {
	sys := n.System.(cluster.Rotator)              // or needsKeys has refused it
	if len(n.claim(s.id, []string{s.part})) == 0 { // there is one set of keys for all nodes
		return nil, errNobody
	}
	s.begin()
	heal := func(ctx context.Context) error {
		defer n.release(s.id)
		return sys.Withdraw(ctx, n.Cluster)
	}
	var err error
	if s.evidence, err = sys.Rotate(ctx, n.Cluster); err != nil {
		return heal, fmt.Errorf("new keys: %w", err)
	}
	return heal, nil
}
