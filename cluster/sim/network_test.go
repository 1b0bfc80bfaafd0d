package sim

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"coup/cluster"
	"coup/cluster/sim/guest"
)

// lan is a network with a machine n1 that has no program, of which the test
// plays the part: what it is told lands in inbox.
func lan(w *World) (*network, *process) {
	n := newNetwork(w, Latency{Min: time.Millisecond})
	m := newMachine(w, n, nil, "n1")
	p := &process{m: m}
	m.process = p
	m.host.listeners[80] = p
	return n, p
}

func inLAN(t *testing.T, body func(w *World, n *network, p *process)) {
	t.Helper()
	w := NewWorld(1)
	if err := w.Run(func() error {
		n, p := lan(w)
		body(w, n, p)
		return nil
	}); err != nil {
		t.Error(err)
	}
}

func until(w *World, d time.Duration) context.Context {
	ctx, _ := w.WithTimeout(context.Background(), d)
	return ctx
}

func told(p *process) string {
	var b strings.Builder
	for _, e := range p.inbox {
		switch e.Kind {
		case guest.Accepted:
			b.WriteString("accepted ")
		case guest.Data:
			b.Write(e.Data)
			b.WriteString(" ")
		case guest.EOF:
			b.WriteString("eof ")
		case guest.Reset:
			b.WriteString("reset ")
		}
	}
	return strings.TrimSpace(b.String())
}

func TestConnection(t *testing.T) {
	inLAN(t, func(w *World, n *network, p *process) {
		c, err := n.dial(until(w, time.Second), "n1", 80)
		if err != nil {
			t.Fatal(err)
		}
		if w.now != 2*time.Millisecond {
			t.Errorf("connected after %v", w.now)
		}
		for _, s := range []string{"one", "two", "three"} {
			if _, err := c.Write([]byte(s)); err != nil {
				t.Error(err)
			}
		}
		w.sleep(10 * time.Millisecond)
		if got := told(p); got != "accepted one two three" {
			t.Errorf("the node was told %q", got)
		}
		s := n.hosts["n1"].sockets[1]
		s.send([]byte("answer"))
		s.close()
		got, err := io.ReadAll(c)
		if string(got) != "answer" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
		if _, err := c.Write([]byte("x")); err == nil {
			t.Error("wrote to a peer that had hung up")
		}
		c.Close()
		w.sleep(time.Second)
		if len(n.hosts["n1"].sockets) != 0 {
			t.Error("the node still has a socket")
		}
	})
}

func TestDialFails(t *testing.T) {
	inLAN(t, func(w *World, n *network, p *process) {
		if _, err := n.dial(until(w, time.Second), "n1", 81); err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("closed port: %v", err)
		}
		if _, err := n.dial(until(w, time.Second), "n9", 80); !strings.Contains(err.Error(), "no such host") {
			t.Errorf("no host: %v", err)
		}
		n.setCuts([]cluster.Cut{{To: "n1", Loss: 1}})
		before := w.now
		if _, err := n.dial(until(w, time.Second), "n1", 80); !errors.Is(err, os.ErrDeadlineExceeded) || w.now-before != time.Second {
			t.Errorf("cut off: %v after %v", err, w.now-before)
		}
		n.setCuts([]cluster.Cut{{From: "n1", Loss: 1}})
		if _, err := n.dial(until(w, time.Second), "n1", 80); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("answer cut off: %v", err)
		}
		n.setCuts(nil)
		n.hosts["n1"].up = false
		if _, err := n.dial(until(w, time.Second), "n1", 80); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("no power: %v", err)
		}
	})
}

// What is lost in a cut is sent again after it, in order and once.
func TestCutHealsAndDataArrives(t *testing.T) {
	inLAN(t, func(w *World, n *network, p *process) {
		c, err := n.dial(until(w, time.Second), "n1", 80)
		if err != nil {
			t.Fatal(err)
		}
		n.setCuts([]cluster.Cut{{To: "n1", Loss: 1}})
		c.Write([]byte("one"))
		w.sleep(time.Second)
		c.Write([]byte("two"))
		w.sleep(time.Second)
		if got := told(p); got != "accepted" {
			t.Errorf("during the cut: %q", got)
		}
		n.setCuts(nil)
		w.sleep(3 * time.Second)
		c.Write([]byte("three"))
		w.sleep(time.Second)
		if got := told(p); got != "accepted one two three" {
			t.Errorf("after the cut: %q", got)
		}
	})
}

func TestLossDelaysButLosesNothing(t *testing.T) {
	inLAN(t, func(w *World, n *network, p *process) {
		c, err := n.dial(until(w, time.Second), "n1", 80)
		if err != nil {
			t.Fatal(err)
		}
		n.setCuts([]cluster.Cut{{To: "n1", Loss: 0.5}})
		want := "accepted"
		for range 100 {
			c.Write([]byte("x"))
			want += " x"
			w.sleep(10 * time.Millisecond)
		}
		w.sleep(5 * time.Minute)
		if got := told(p); got != want {
			t.Errorf("%d of %d bytes arrived", len(got), len(want))
		}
	})
}

func TestEndsOfProcessAndMachine(t *testing.T) {
	inLAN(t, func(w *World, n *network, p *process) {
		a, err := n.dial(until(w, time.Second), "n1", 80)
		if err != nil {
			t.Fatal(err)
		}
		// The kernel of a process that ended says goodbye for it.
		n.hosts["n1"].processEnded(p)
		a.SetDeadline(Epoch.Add(w.now + time.Second))
		if _, err := a.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("after the process: %v", err)
		}
		n.hosts["n1"].listeners[80] = p
		b, err := n.dial(until(w, time.Second), "n1", 80)
		if err != nil {
			t.Fatal(err)
		}
		// A machine without power says nothing, and when it is back it knows
		// nothing of its connections.
		n.hosts["n1"].powerLost()
		b.SetDeadline(Epoch.Add(w.now + time.Second))
		if _, err := b.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("without power: %v", err)
		}
		b.SetDeadline(Epoch.Add(w.now + 10*time.Second))
		if _, err := b.Write([]byte("hello?")); err != nil {
			t.Error(err)
		}
		w.sleep(time.Second)
		n.hosts["n1"].up = true
		if _, err := b.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) || err == io.EOF {
			t.Errorf("with power again: %v", err)
		}
	})
}

func TestCutsAddUp(t *testing.T) {
	w := NewWorld(1)
	n := newNetwork(w, Latency{})
	n.setCuts([]cluster.Cut{{From: "a", To: "b", Loss: 0.5}, {From: "a", To: "b", Loss: 0.5}, {From: "b", To: "a", Loss: 1}})
	lost := 0
	for range 10000 {
		if n.lost("a", "b") {
			lost++
		}
		if !n.lost("b", "a") || n.lost("a", "c") {
			t.Fatal("a whole cut leaks, or an open link loses")
		}
	}
	if share := float64(lost) / 10000; math.Abs(share-0.75) > 0.02 {
		t.Errorf("%.3f are lost, want 0.75", share)
	}
}
