package raftnode

import (
	"context"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"coup/cluster/raftnode/simulated"
	"coup/cluster/sim/guest"
)

// On a simulated machine, sockets and signals are those of the simulator.

func dialTCP(ctx context.Context, p Peer) (net.Conn, error) { return dialAddr(ctx, p.Client) }

func listenTCP(addr string) (net.Listener, error) { return guest.Listen(addr) }

func dialAddr(ctx context.Context, addr string) (net.Conn, error) { return guest.Dial(ctx, addr) }

// asked receives when the process is asked to end.
func asked() (stop <-chan os.Signal, ignore func()) { return guest.Terminated(), func() {} }

func newTCP(listen, addr string, timeout time.Duration, inFlight int, _ hclog.Logger, w wires) (raft.Transport, error) {
	l, err := listenTCP(listen)
	if err != nil {
		return nil, err
	}
	return simulated.NewTransport(w.peers(l), addr, w.dialPeers, timeout, inFlight), nil
}

func newServer(h http.Handler, who func(context.Context, net.Conn) context.Context) server {
	return simulated.NewServer(h, 2*maxBody, who)
}

func newAsker(dial dialPeer) asker { return newSmallAsker(dial) }
