package raftnode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestAskers(t *testing.T) {
	t.Parallel()
	asked := make(chan bool, 10)
	peer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/hangs-up":
			panic(http.ErrAbortHandler)
		case "/silent":
			asked <- true
			<-r.Context().Done()
		}
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.URL.Path, r.Header.Get("Content-Type"), body)
	}))
	defer peer.Close()
	dial := func(ctx context.Context, name string) (net.Conn, error) {
		if name != "n1" {
			return nil, errors.New("nobody there")
		}
		return (&net.Dialer{}).DialContext(ctx, "tcp", peer.Listener.Addr().String())
	}
	for name, a := range map[string]asker{"http": newHTTPAsker(dial), "small": newSmallAsker(dial)} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			for range 3 {
				status, answer, err := a.ask(ctx, "n1", "/path", []byte("body"))
				if want := "POST /path application/json body"; err != nil || status != http.StatusTeapot || string(answer) != want {
					t.Errorf("%d, %q, %v, want %q", status, answer, err, want)
				}
			}
			nd := (*notDialed)(nil)
			if _, _, err := a.ask(ctx, "n2", "/path", nil); !errors.As(err, &nd) {
				t.Errorf("a peer that can't be reached: %v", err)
			}
			if _, _, err := a.ask(ctx, "n1", "/hangs-up", []byte("body")); err == nil || errors.As(err, &nd) {
				t.Errorf("a peer that hangs up: %v", err)
			}
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			go func() {
				<-asked
				cancel()
			}()
			if _, _, err := a.ask(ctx, "n1", "/silent", []byte("body")); err == nil || errors.As(err, &nd) {
				t.Errorf("a question that was given up: %v", err)
			}
			a.close()
		})
	}
}
