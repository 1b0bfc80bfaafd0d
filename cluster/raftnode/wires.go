package raftnode

import (
	"context"
	"net"
	"net/http"
)

// KeysFile is the file in the data directory that holds a keys.Bundle. Whoever runs the
// cluster puts it there before the node starts, and may put another one there at any time.
const KeysFile = "keys.json"

// wires are how a node listens, dials and serves: as the sockets do, or with keys.
type wires struct {
	clients     func(net.Listener) net.Listener // the listener for clients, out of one that lets everybody in
	peers       func(net.Listener) net.Listener // that for raft's messages
	dialPeers   func(ctx context.Context, addr string) (net.Conn, error)
	dialClients func(ctx context.Context, p Peer) (net.Conn, error) // of other nodes
	server      func(h http.Handler) server                         // of clients
}

// openWires let everybody in.
func openWires() wires {
	all := func(l net.Listener) net.Listener { return l }
	return wires{
		clients: all, peers: all, dialPeers: dialAddr, dialClients: dialTCP,
		server: func(h http.Handler) server { return newServer(h, nil) },
	}
}
