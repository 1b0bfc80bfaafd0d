//go:build !wasip1 || tls

package raftnode

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"

	"github.com/hashicorp/go-hclog"

	"coup/cluster/raftnode/keys"
)

// secured are the wires of a node that asks everybody for a certificate, and clients for a
// token: see package keys.
func (f *flags) secured(logger hclog.Logger) (w wires, err error) {
	var names []string
	for _, p := range f.peers {
		names = append(names, p.Name)
	}
	store, err := keys.Open(filepath.Join(f.data, KeysFile), names, keys.Flaws{
		FailOpen: f.bug.is(FailOpen), OldTokens: f.bug.is(OldTokens), AnyName: f.bug.is(AnyName),
	}, func(generation int) { logger.Info("has new keys", "generation", generation) })
	if err != nil {
		return w, err
	}
	return wires{
		clients: func(l net.Listener) net.Listener { return keys.NewGate(l, store, store.Anybody) },
		peers:   func(l net.Listener) net.Listener { return keys.NewGate(l, store, store.Peers) },
		dialPeers: func(ctx context.Context, addr string) (net.Conn, error) {
			conn, err := dialAddr(ctx, addr)
			if err != nil {
				return nil, err
			}
			for _, p := range f.peers {
				if p.Addr == addr {
					return store.Dial(ctx, conn, p.Name)
				}
			}
			conn.Close()
			return nil, fmt.Errorf("%s is the address of no node", addr)
		},
		dialClients: func(ctx context.Context, p Peer) (net.Conn, error) {
			conn, err := dialTCP(ctx, p)
			if err != nil {
				return nil, err
			}
			return store.Dial(ctx, conn, p.Name)
		},
		server: func(h http.Handler) server {
			return newServer(guard(store, h), func(ctx context.Context, conn net.Conn) context.Context {
				return context.WithValue(ctx, caller{}, conn)
			})
		},
	}, nil
}

// caller is the key of the connection in a request's context.
type caller struct{}

// guard answers whoever may not ask with 401 and [Failure], before anything else is done.
func guard(store *keys.Store, h http.Handler) http.Handler {
	ofClients := map[string]bool{PathStatus: true}
	for _, op := range allOperations() {
		ofClients[op.name] = true
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := mayAsk(store, r, ofClients); err != nil {
			answer(w, http.StatusUnauthorized, didNotHappen("refused: "+err.Error()))
			return
		}
		h.ServeHTTP(w, r)
	})
}

func mayAsk(store *keys.Store, r *http.Request, ofClients map[string]bool) error {
	conn, ok := r.Context().Value(caller{}).(*keys.Conn)
	switch {
	case !ok:
		return errors.New("nobody knows who asks")
	case conn.Unchecked:
		return nil
	}
	if err := store.Allow(conn.Who, r.Header.Get("Authorization")); err != nil {
		return err
	}
	if conn.Who.Role == keys.Client && !ofClients[r.URL.Path] {
		return errors.New("this is not for clients")
	}
	return nil
}
