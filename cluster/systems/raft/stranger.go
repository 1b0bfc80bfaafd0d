package raft

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"coup/cluster"
	"coup/cluster/raftnode"
	"coup/cluster/raftnode/keys"
	"coup/harness"
)

var _ cluster.Stranger = (*guarded)(nil)

// guarded is a connection to nodes that ask who one is.
type guarded struct{ *connection }

// What a stranger sends.
const (
	// flood is how many handshakes it begins at once.
	flood = keys.MostHandshakes + 8
	// hello is the beginning of a handshake: a record that says that more follows.
	hello = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
)

// Intrude implements cluster.Stranger. It asks the client's own node, over a connection of
// its own.
func (g *guarded) Intrude(ctx context.Context, way, key string, write *int64) (answer string, err error) {
	g.asked = g.home
	s := stranger{ring: g.who.ring, client: g.who.who, node: g.home, until: deadlineIn(ctx, nodeTimeout(ctx)), key: key, write: write}
	s.dial = func() (net.Conn, error) {
		conn, err := g.access.Dial(dialing{ctx, s.until}, s.node, clients)
		if err == nil {
			err = conn.SetDeadline(s.until)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: connect to %s: %w", harness.ErrFail, s.node, err)
		}
		return conn, nil
	}
	return s.intrude(way)
}

// stranger is one attempt.
type stranger struct {
	ring   *ring
	client keys.Identity // whom it may take for
	node   string
	dial   func() (net.Conn, error)
	until  time.Time
	key    string
	write  *int64
	// hangup: a node that refuses hangs up and says nothing. Otherwise one that does may have died.
	hangup bool
}

func (s *stranger) intrude(way string) (answer string, err error) {
	s.hangup = way == cluster.Garbage || way == cluster.SlowHandshake || way == cluster.Flood
	generation := s.ring.generation()
	good := s.ring.token(generation, s.client)
	issue := func(a *keys.Authority, name string, until time.Duration) *tls.Certificate {
		cert, failed := a.Issue(name, generation, s.ring.made.Add(-validBefore), s.ring.now().Add(until))
		err = errors.Join(err, failed)
		return &cert
	}
	ask := func(cert *tls.Certificate, token string) (string, error) {
		if err != nil {
			return "", fmt.Errorf("%w: %w", harness.ErrFail, err)
		}
		return s.ask(cert, token)
	}
	switch way {
	case cluster.NoCertificate:
		return ask(nil, good)
	case cluster.ExpiredCertificate:
		return ask(issue(s.ring.authority, s.client.DNS(), -time.Hour), good)
	case cluster.WrongName:
		return ask(issue(s.ring.authority, "backup.other.coup", time.Hour), good)
	case cluster.ForeignAuthority:
		return ask(issue(s.ring.foreign, s.client.DNS(), time.Hour), good)
	case cluster.WrongToken:
		return ask(issue(s.ring.authority, s.client.DNS(), time.Hour), s.ring.token(generation, keys.Identity{Role: keys.Client, Name: "somebody"}))
	case cluster.OldToken:
		old := s.ring.withdrawn()
		if old < 0 {
			return "", fmt.Errorf("%w: no token was withdrawn yet", harness.ErrFail)
		}
		return ask(issue(s.ring.authority, s.client.DNS(), time.Hour), s.ring.token(old, s.client))
	case cluster.Garbage:
		return s.say("GET " + raftnode.PathStatus + " HTTP/1.1\r\nHost: n1\r\n\r\n")
	case cluster.SlowHandshake:
		return s.say(hello)
	case cluster.Flood:
		for range flood {
			conn, err := s.dial()
			if err != nil {
				return "", err
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, hello); err != nil {
				return "", fmt.Errorf("%w: %w", harness.ErrFail, err)
			}
		}
		return ask(nil, "")
	}
	return "", fmt.Errorf("%w: there is no way %q", harness.ErrFail, way)
}

// ask asks as a client does, with this certificate, or nil for none.
func (s *stranger) ask(cert *tls.Certificate, token string) (answer string, err error) {
	conn, err := s.dial()
	if err != nil {
		return "", err
	}
	if cert == nil {
		cert = &tls.Certificate{}
	}
	out, err := secured(conn, s.ring.config(s.node, cert), s.until)
	if err != nil {
		return "", s.kept(err)
	}
	defer conn.Close()
	path, req := raftnode.PathRegisterRead, raftnode.Request{Key: s.key, Timeout: 500, Reads: raftnode.Stale}
	if s.write != nil {
		path, req.Reads, req.Value = raftnode.PathRegisterWrite, "", *s.write
		req.Client, req.Seq = fmt.Sprintf("stranger-%s-%d", s.key, *s.write), 1
	}
	body, err := json.Marshal(req)
	if err != nil {
		return "", fmt.Errorf("%w: %w", harness.ErrFail, err)
	}
	authorization := ""
	if token != "" {
		authorization = "Bearer " + token
	}
	asked, _ := plainRequest(http.MethodPost, s.node, path, authorization, body)
	if _, err = out.Write(asked); err != nil {
		return "", s.kept(err)
	}
	return s.answer(out)
}

// say sends bytes that are no handshake, and waits until the node hangs up.
func (s *stranger) say(text string) (answer string, err error) {
	conn, err := s.dial()
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		return "", s.kept(err)
	}
	b, err := io.ReadAll(io.LimitReader(conn, 4096))
	if len(b) > 0 && b[0] != alert {
		return fmt.Sprintf("%q", b), nil
	}
	if err == nil {
		err = io.EOF
	}
	return "", s.kept(err)
}

// alert is the kind of a record in which a node says what it does not like.
const alert = 21

// answer reads what a node answers. Whoever is answered in HTTP with anything but 401 was
// let in.
func (s *stranger) answer(conn net.Conn) (answer string, err error) {
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "", s.kept(err)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	text := strings.TrimSpace(string(body))
	switch {
	case resp.StatusCode != http.StatusUnauthorized:
		return strings.TrimSpace(fmt.Sprintf("%s %s", resp.Status, text)), nil
	case err != nil:
		return "", s.kept(err)
	}
	var f raftnode.Failure
	if json.Unmarshal(body, &f) == nil && f.Reason != "" {
		text = strings.TrimPrefix(f.Reason, "refused: ")
	}
	return "", fmt.Errorf("%w: %s", cluster.ErrRefused, text)
}

// kept is the error of an attempt that ended with err. Only an answer would say that it
// was let in, and a request that is answered by nobody may still have been taken.
func (s *stranger) kept(err error) error {
	var told *net.OpError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("no answer of %s: %w", s.node, err)
	case errors.As(err, &told) && told.Op == "remote error": // an alert of TLS
		return fmt.Errorf("%w: %w", cluster.ErrRefused, told.Err)
	case !s.hangup:
		return fmt.Errorf("%s hung up and said nothing: %w", s.node, err)
	}
	return fmt.Errorf("%w: hung up", cluster.ErrRefused)
}
