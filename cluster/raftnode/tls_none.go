//go:build wasip1 && !tls

package raftnode

import (
	"errors"

	"github.com/hashicorp/go-hclog"
)

// secured fails: with TLS, the program would be a quarter larger, and most runs have no
// use for it.
func (*flags) secured(hclog.Logger) (wires, error) {
	return wires{}, errors.New("this program was built without TLS (tag tls)")
}
