package plan

import (
	"fmt"
	"strings"

	"coup/cluster"
	"coup/cluster/docker"
	"coup/cluster/sim"
)

// The backends: where nodes run.
const (
	Docker    = "docker" // in containers
	Simulated = "sim"    // on simulated machines
)

// Capabilities are what clusters of a backend can do beside what every cluster can.
// Its error says which backends there are.
func Capabilities(backend string) (cluster.Capabilities, error) {
	switch backend {
	case Docker:
		return cluster.CapabilitiesOf((*docker.Cluster)(nil)), nil
	case Simulated:
		return cluster.CapabilitiesOf((*sim.Cluster)(nil)), nil
	}
	return nil, fmt.Errorf("there is no backend %q (there is %s)", backend, strings.Join([]string{Docker, Simulated}, ", "))
}

// checkImage returns why the plan's image can't replace the system's own.
func (p Plan) checkImage(sys cluster.System) error {
	if p.Image == "" {
		return nil
	}
	i, ok := sys.(cluster.Imaged)
	if !ok || p.Backend == Simulated {
		return fmt.Errorf("%s on the backend %s runs in no image of its own, which another one could take the place of", sys.Name(), p.Backend)
	}
	all, err := i.Images(p.Options())
	if err == nil && len(all) != 1 {
		err = fmt.Errorf("%s runs in %d images: one image can't take the place of all", sys.Name(), len(all))
	}
	return err
}

// runs returns why the plan's backend can't run a system. Simulated machines run one
// program, which is a part of coup.
func (p Plan) runs(sys cluster.System) error {
	n1 := cluster.Node{Name: "n1", Host: "n1"}
	if p.Backend == Simulated && !sys.Pod(n1, []cluster.Node{n1}, p.Options()).Bundled() {
		return fmt.Errorf("simulated machines run the bundled system only (--system raft), and %s runs in containers: --backend docker", sys.Name())
	}
	return nil
}
