// Package rest asks a node of a system over HTTP: how systems are asked that have an
// API of JSON over HTTP, by clients and for their status.
package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"

	"coup/cluster"
	"coup/harness"
)

// Client asks one port of one node over connections that it keeps. It never sends a
// request twice that may have an effect, and follows no redirects. Safe for concurrent use.
type Client struct {
	node  string
	http  http.Client
	heard atomic.Bool // the node has answered the last request
}

// New returns a client of a node's port, by the port's name. It connects when it is used.
func New(a cluster.Access, node, port string) *Client {
	return &Client{node: node, http: http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				conn, err := a.Dial(ctx, node, port)
				if err != nil {
					return nil, fmt.Errorf("%w: connect: %w", harness.ErrFail, err)
				}
				return conn, nil
			},
		},
	}}
}

// Close ends the connections.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// StatusError is the error of a node that answered with a status other than 200 to 299.
type StatusError struct {
	Code int
	Body string
}

func (e *StatusError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s: %s", e.Code, http.StatusText(e.Code), e.Body))
}

// Do asks the node and decodes its answer, JSON, into answer; nil: nobody wants it. A
// body is sent as it is if it is []byte, and else as JSON; nil: none. The error is a
// [StatusError] if the node answered with such a status, and wraps harness.ErrFail if
// nothing was asked, because the node could not be reached. What may have an effect is
// asked of a node only that has answered the last request, or else the page "/": a port of
// a node that is down may take connections, and hang up.
func (c *Client) Do(ctx context.Context, method, path string, body, answer any) error {
	var err error
	if method != http.MethodGet && !c.heard.Load() {
		if err = c.do(ctx, http.MethodGet, "/", nil, nil); err != nil {
			err = fmt.Errorf("%w: it does not answer: %w", harness.ErrFail, err)
		}
	}
	var said *StatusError
	if err == nil || errors.As(err, &said) {
		err = c.do(ctx, method, path, body, answer)
	}
	c.heard.Store(err == nil || errors.As(err, &said))
	if err != nil {
		return fmt.Errorf("%s: %s %s: %w", c.node, method, path, err)
	}
	return nil
}

func (c *Client) do(ctx context.Context, method, path string, body, answer any) error {
	sent, raw := body.([]byte)
	if !raw && body != nil {
		var err error
		if sent, err = json.Marshal(body); err != nil {
			return fmt.Errorf("%w: %w", harness.ErrFail, err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.node+path, bytes.NewReader(sent))
	if err != nil {
		return fmt.Errorf("%w: %w", harness.ErrFail, err)
	}
	if !raw && body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return &StatusError{resp.StatusCode, string(b)}
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(b, answer)
}
