package raftnode

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"time"
)

type dialPeer = func(ctx context.Context, peer string) (net.Conn, error)

// httpAsker asks with net/http's client, which keeps connections.
type httpAsker struct{ client http.Client }

func newHTTPAsker(dial dialPeer) asker {
	return &httpAsker{http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			peer, _, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, &notDialed{err}
			}
			conn, err := dial(ctx, peer)
			if err != nil {
				return nil, &notDialed{err}
			}
			return conn, nil
		},
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     10 * time.Second,
	}}}
}

func (a *httpAsker) ask(ctx context.Context, peer, path string, body []byte) (int, []byte, error) {
	req, err := newQuestion(ctx, peer, path, body)
	if err != nil {
		return 0, nil, &notDialed{err}
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	return readAnswer(resp)
}

func (a *httpAsker) close() { a.client.CloseIdleConnections() }

// smallAsker opens a connection for each question. It is used on simulated machines,
// where nothing else needs net/http's client. With all that this brings, above all
// TLS, it would be more than a quarter of the program.
type smallAsker struct{ dial dialPeer }

func newSmallAsker(dial dialPeer) asker { return smallAsker{dial} }

func (a smallAsker) ask(ctx context.Context, peer, path string, body []byte) (int, []byte, error) {
	req, err := newQuestion(ctx, peer, path, body)
	if err != nil {
		return 0, nil, &notDialed{err}
	}
	req.Close = true
	conn, err := a.dial(ctx, peer)
	if err != nil {
		return 0, nil, &notDialed{err}
	}
	defer conn.Close()
	unwatch := context.AfterFunc(ctx, func() { conn.Close() })
	defer unwatch()
	if err := req.Write(conn); err != nil {
		return 0, nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		return 0, nil, err
	}
	return readAnswer(resp)
}

func (smallAsker) close() {}

func newQuestion(ctx context.Context, peer, path string, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+peer+path, bytes.NewReader(body))
	if err == nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, err
}

// readAnswer reads at most one byte more than an answer may have, which
// DecodeAnswer then finds too long.
func readAnswer(resp *http.Response) (int, []byte, error) {
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	return resp.StatusCode, answer, err
}
