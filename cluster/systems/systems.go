// Package systems holds the systems under test that coup knows: how their
// nodes are started and how clients talk to them. One file per system.
package systems

import "coup/cluster"

// All are the systems by name.
var All = map[string]cluster.System{
	"raft": Raft{},
}
