//go:build !wasip1

package raftnode

import (
	"context"
	"net"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// stream carries raft's messages over TCP. Unlike raft's own, its address may be a
// name, which is resolved for each connection by the node that dials, and need not
// resolve to anything when the node starts.
type stream struct {
	net.Listener
	addr string
	dial func(ctx context.Context, addr string) (net.Conn, error)
}

type peerAddr string

func (a peerAddr) Network() string { return "tcp" }
func (a peerAddr) String() string  { return string(a) }

func (s *stream) Addr() net.Addr { return peerAddr(s.addr) }

// Dial implements raft.StreamLayer.
func (s *stream) Dial(addr raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return s.dial(ctx, string(addr))
}

// newTCP listens for peers on listen; they reach the node at addr.
func newTCP(listen, addr string, timeout time.Duration, inFlight int, logger hclog.Logger, w wires) (raft.Transport, error) {
	l, err := listenTCP(listen)
	if err != nil {
		return nil, err
	}
	return raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream:          &stream{w.peers(l), addr, w.dialPeers},
		MaxPool:         4,
		MaxRPCsInFlight: inFlight,
		Timeout:         timeout,
		Logger:          logger,
	}), nil
}
