package sim

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"coup/cluster"
)

// The node's program, as make build puts it here. The directory is there
// without it, so that everything compiles.
//
//go:embed node
var embedded embed.FS

// nodeFiles are the programs by variant.
var nodeFiles = map[string]string{"": "node/raftnode.wasm.gz", cluster.TLS: "node/raftnode-tls.wasm.gz"}

// NodeVariable is the environment variable that names another module to run
// instead of the bundled one: a node that was built against another release.
const NodeVariable = "COUP_SIM_NODE"

// NodeModule returns the node as a WASI module, for Load: the bundled one is packed
// with gzip. variant is that of a cluster.Container. Its error wraps
// cluster.ErrUnavailable when this coup was built without one.
func NodeModule(variant string) ([]byte, error) {
	if path := os.Getenv(NodeVariable); path != "" {
		module, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", NodeVariable, err)
		}
		return module, nil
	}
	packed, err := embedded.ReadFile(nodeFiles[variant])
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: this coup was built without the simulated node; build it with make build", cluster.ErrUnavailable)
	}
	return packed, err
}
