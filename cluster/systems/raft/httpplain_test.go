package raft

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

// A plain request is to the byte what net/http sends, in one piece.
func TestPlainRequest(t *testing.T) {
	body := []byte(`{"key":"k"}`)
	for _, c := range []struct {
		method, node, path string
		body               []byte
		plain              bool
	}{
		{"GET", "n1", "/status", nil, true},
		{"POST", "n1", "/register/read", body, true},
		{"POST", "some-host", "/", body, true},
		{"POST", "n1", "/x", bytes.Repeat(body, 350), true},
		{"POST", "n1", "/x", bytes.Repeat(body, 400), false},
		{"GET", "n1", "/status?a=b", nil, false},
		{"GET", "n1", "/a b", nil, false},
		{"GET", "n1", "/%61", nil, false},
		{"GET", "n1", "//a", nil, false},
		{"GET", "n1", "", nil, false},
		{"GET", "[::1]", "/status", nil, false},
		{"GET", "", "/status", nil, false},
		{"GET", "n1", "/status", body, false},
		{"POST", "n1", "/status", nil, false},
		{"PUT", "n1", "/status", body, false},
	} {
		for _, authorization := range []string{"", "Bearer 1.ab"} {
			comparePlain(t, c.method, c.node, c.path, authorization, c.body, c.plain)
		}
	}
}

// comparePlain compares a request with what net/http sends.
func comparePlain(t *testing.T, method, node, path, authorization string, body []byte, plain bool) {
	t.Helper()
	got, ok := plainRequest(method, node, path, authorization, body)
	if ok != plain {
		t.Errorf("%s %s%s: plain is %v", method, node, path, ok)
	}
	if !ok {
		return
	}
	req, err := http.NewRequest(method, "http://"+node+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	var want pieces
	if err := req.Write(&want); err != nil || len(want) != 1 || want[0] != string(got) {
		t.Errorf("got %q, net/http sends %q", got, want)
	}
}

// pieces are what was written, call by call.
type pieces []string

func (p *pieces) Write(b []byte) (int, error) {
	*p = append(*p, string(b))
	return len(b), nil
}

// A plain answer is read as net/http reads it, and of no other anything is taken.
func TestPlainAnswer(t *testing.T) {
	const longest = 100
	for text, plain := range map[string]bool{
		fine: true,
		"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 3\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\n\r\n{}\n": true,
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n": true,

		"":                  false,
		"HTTP/1.1 200 OK":   false,
		"HTTP/1.1 \r\n\r\n": false,
		"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"value\":5}":                    false,
		"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n" + strings.Repeat(" ", 101):     false,
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n1":            false,
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n":                                 false,
		"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n":                                  false,
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n":             false,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n":                false,
		"HTTP/1.1 200 OK\r\n\r\n{}":                                                     false,
		"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n":                          false,
		"HTTP/1.1 100 Continue\r\n\r\n" + fine:                                          false,
		"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n":                                  false,
		"HTTP/1.1 20x OK\r\nContent-Length: 0\r\n\r\n":                                  false,
		"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n":                                 false,
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX\r\n\r\n":                             false,
		"HTTP/1.1 200 OK\r\nContent-Type: a\r\n folded\r\nContent-Length: 0\r\n\r\n":    false,
		"HTTP/1.1 200 OK\r\nX-Long: " + strings.Repeat("x", 5000) + "\r\n\r\n" + "more": false,
	} {
		const next = "what comes next"
		r := bufio.NewReader(strings.NewReader(text + next))
		if text == "" || !strings.Contains(text, "\r\n\r\n") || strings.Contains(text, ": 12\r") {
			r = bufio.NewReader(strings.NewReader(text))
		}
		r.Peek(1)
		status, answer, ok := plainAnswer(r, longest)
		if ok != plain {
			t.Errorf("%.80q: plain is %v", text, ok)
			continue
		}
		left, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			if !strings.HasPrefix(string(left), text) {
				t.Errorf("%.80q: something was taken", text)
			}
			continue
		}
		resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(text)), nil)
		if err != nil {
			t.Fatal(err)
		}
		want, err := io.ReadAll(resp.Body)
		if err != nil || status != resp.StatusCode || !bytes.Equal(answer, want) || string(left) != next || resp.Close {
			t.Errorf("%.80q: %d, %q, %q left; net/http reads %d, %q", text, status, answer, left, resp.StatusCode, want)
		}
	}
}
