package cluster

import (
	"context"
	"fmt"
	"net"
)

// Shown is a connection to a system of which nothing runs. Its type shows what clients
// can do; it is good for nothing else, and is closed already. It fails for a system whose
// Open is not lazy, as [System] asks.
func Shown(sys System, o Options) (Conn, error) {
	o.Client = "nobody"
	c, err := sys.Open(nowhere{}, "n1", o)
	if err != nil {
		return nil, fmt.Errorf("%s tells what its clients can do only while it runs: %w", sys.Name(), err)
	}
	c.Close() // it was never open
	return c, nil
}

// nowhere is the way to a cluster that does not run.
type nowhere struct{}

var errNowhere = fmt.Errorf("%w: no node runs", ErrUnavailable)

func (nowhere) Nodes() []Node                                          { return []Node{{Name: "n1", Host: "n1"}} }
func (nowhere) Dial(context.Context, string, string) (net.Conn, error) { return nil, errNowhere }
func (nowhere) DialAddress(context.Context, string) (net.Conn, error)  { return nil, errNowhere }
func (nowhere) Exec(context.Context, string, string, ...string) ([]byte, error) {
	return nil, errNowhere
}
