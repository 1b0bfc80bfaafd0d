package sim

import (
	"bytes"
	"compress/gzip"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"coup/cluster"
)

// The node's program, as make build puts it here. The directory is there
// without it, so that everything compiles.
//
//go:embed node
var embedded embed.FS

const nodeFile = "node/raftnode.wasm.gz"

// NodeModule returns the bundled node as a WASI module. Its error wraps
// cluster.ErrUnavailable when this coup was built without one.
func NodeModule() ([]byte, error) {
	packed, err := embedded.ReadFile(nodeFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: this coup was built without the simulated node; build it with make build", cluster.ErrUnavailable)
	}
	if err != nil {
		return nil, err
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("the simulated node: %w", err)
	}
	module, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("the simulated node: %w", err)
	}
	return module, r.Close()
}
