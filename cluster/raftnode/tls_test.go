package raftnode

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"coup/cluster/raftnode/keys"
)

// Who is who decides what is answered, before anything else is done.
func TestWhoMayAskWhat(t *testing.T) {
	now := time.Now()
	a, err := keys.NewAuthority([]byte("secret"), "coup", now.Add(-time.Hour), now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	issue := func(i keys.Identity) tls.Certificate {
		cert, err := a.Issue(i.DNS(), 0, now.Add(-time.Hour), now.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	dir := t.TempDir()
	n1 := keys.Identity{Role: keys.Node, Name: "n1"}
	if err := os.WriteFile(filepath.Join(dir, KeysFile), a.NewBundle(issue(n1), 0, 0).Encode(), 0o600); err != nil {
		t.Fatal(err)
	}
	f := &flags{data: dir, peers: []Peer{{Name: "n1"}, {Name: "n2"}}}
	w, err := f.secured(hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := w.server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "done") }))
	go s.Serve(w.clients(l))
	t.Cleanup(func() { s.Close() })

	client, operator, node := keys.Identity{Role: keys.Client, Name: "p1"}, keys.Identity{Role: keys.Operator, Name: "harness"}, keys.Identity{Role: keys.Node, Name: "n2"}
	for _, c := range []struct {
		who    keys.Identity
		path   string
		token  bool
		status int
	}{
		{client, PathRegisterRead, true, 200},
		{client, PathObjectWrite, true, 200},
		{client, PathStatus, true, 200},
		{client, PathRegisterRead, false, 401},
		{client, PathStatus, false, 401},
		{client, PathReadIndex, true, 401},
		{client, PathMember, true, 401},
		{client, PathTransfer, true, 401},
		{client, "/anything", true, 401},
		{operator, PathMember, true, 200},
		{operator, PathMember, false, 401},
		{node, PathReadIndex, false, 200},
		{node, PathRegisterWrite, false, 200},
	} {
		https := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
			RootCAs: a.Pool(), ServerName: n1.DNS(), Certificates: []tls.Certificate{issue(c.who)}}}}
		req, err := http.NewRequest(http.MethodPost, "https://"+l.Addr().String()+c.path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		if c.token {
			req.Header.Set("Authorization", "Bearer "+keys.Token(a.TokenSecret(0), 0, c.who))
		}
		resp, err := https.Do(req)
		if err != nil {
			t.Errorf("%s: %v", c.who.DNS(), err)
			continue
		}
		_, failure := DecodeAnswer(resp.StatusCode, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("%s asks for %s, token %v: %s", c.who.DNS(), c.path, c.token, resp.Status)
		}
		if c.status == 401 && (failure == nil || failure.Happened != DidNotHappen) {
			t.Errorf("%s asks for %s: %v, want a refusal that says that nothing happened", c.who.DNS(), c.path, failure)
		}
	}
}
