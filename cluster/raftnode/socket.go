//go:build !wasip1

package raftnode

import (
	"context"
	"net"
	"net/http"
)

func dialTCP(ctx context.Context, p Peer) (net.Conn, error) { return dialAddr(ctx, p.Client) }

func listenTCP(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }

func dialAddr(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr)
}

// newServer returns a server of h. who, if it is not nil, says in the context of a request
// whose connection it came by.
func newServer(h http.Handler, who func(context.Context, net.Conn) context.Context) server {
	return &http.Server{Handler: h, ReadHeaderTimeout: maxTimeout, ConnContext: who}
}

func newAsker(dial dialPeer) asker { return newHTTPAsker(dial) }
