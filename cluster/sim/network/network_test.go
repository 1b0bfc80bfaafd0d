package network

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
	"coup/cluster/sim/world"
)

// program is who accepts connections on a host: what it is told lands in inbox.
type program struct {
	inbox []guest.Event
	last  uint32
}

func (p *program) Lead() time.Duration { return 0 }

func (p *program) NextID() uint32 {
	p.last++
	return p.last
}

func (p *program) Notify(s *Socket, kind byte, data []byte) {
	p.inbox = append(p.inbox, guest.Event{Kind: kind, ID: s.ID(), Data: data})
}

// lan is a network with a host n1, where a program listens on port 80.
func lan(w *world.World) (*Network, *program) {
	n, p := New(w, Latency{Min: time.Millisecond}, nil, nil), &program{}
	h := n.AddHost("n1")
	h.PowerOn()
	h.Listen(80, p)
	return n, p
}

func inLAN(t *testing.T, body func(w *world.World, n *Network, p *program)) {
	t.Helper()
	w := world.New(1)
	if err := w.Run(func() error {
		n, p := lan(w)
		body(w, n, p)
		return nil
	}); err != nil {
		t.Error(err)
	}
}

func until(w *world.World, d time.Duration) context.Context {
	ctx, _ := w.WithTimeout(context.Background(), d)
	return ctx
}

func told(p *program) string {
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
	inLAN(t, func(w *world.World, n *Network, p *program) {
		c, err := n.Dial(until(w, time.Second), "n1", 80)
		if err != nil {
			t.Fatal(err)
		}
		if w.Now() != 2*time.Millisecond {
			t.Errorf("connected after %v", w.Now())
		}
		for _, s := range []string{"one", "two", "three"} {
			if _, err := c.Write([]byte(s)); err != nil {
				t.Error(err)
			}
		}
		w.SleepFor(10 * time.Millisecond)
		if got := told(p); got != "accepted one two three" {
			t.Errorf("the node was told %q", got)
		}
		s := n.hosts["n1"].sockets[1]
		s.Send([]byte("answer"))
		s.Close()
		got, err := io.ReadAll(c)
		if string(got) != "answer" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
		if _, err := c.Write([]byte("x")); err == nil {
			t.Error("wrote to a peer that had hung up")
		}
		c.Close()
		w.SleepFor(time.Second)
		if len(n.hosts["n1"].all)+len(n.hosts["n1"].sockets) != 0 {
			t.Error("the node still has a socket")
		}
	})
}

func TestDialFails(t *testing.T) {
	inLAN(t, func(w *world.World, n *Network, p *program) {
		if _, err := n.Dial(until(w, time.Second), "n1", 81); err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("closed port: %v", err)
		}
		if _, err := n.Dial(until(w, time.Second), "n9", 80); !strings.Contains(err.Error(), "no such host") {
			t.Errorf("no host: %v", err)
		}
		n.SetCuts([]cluster.Cut{{To: "n1", Loss: 1}})
		before := w.Now()
		if _, err := n.Dial(until(w, time.Second), "n1", 80); !errors.Is(err, os.ErrDeadlineExceeded) || w.Now()-before != time.Second {
			t.Errorf("cut off: %v after %v", err, w.Now()-before)
		}
		n.SetCuts([]cluster.Cut{{From: "n1", Loss: 1}})
		if _, err := n.Dial(until(w, time.Second), "n1", 80); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("answer cut off: %v", err)
		}
		n.SetCuts(nil)
		n.hosts["n1"].up = false
		if _, err := n.Dial(until(w, time.Second), "n1", 80); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("no power: %v", err)
		}
	})
}

// What is lost in a cut is sent again after it, in order and once.
func TestCutHealsAndDataArrives(t *testing.T) {
	inLAN(t, func(w *world.World, n *Network, p *program) {
		c, err := n.Dial(until(w, time.Second), "n1", 80)
		if err != nil {
			t.Fatal(err)
		}
		n.SetCuts([]cluster.Cut{{To: "n1", Loss: 1}})
		c.Write([]byte("one"))
		w.SleepFor(time.Second)
		c.Write([]byte("two"))
		w.SleepFor(time.Second)
		if got := told(p); got != "accepted" {
			t.Errorf("during the cut: %q", got)
		}
		n.SetCuts(nil)
		w.SleepFor(3 * time.Second)
		c.Write([]byte("three"))
		w.SleepFor(time.Second)
		if got := told(p); got != "accepted one two three" {
			t.Errorf("after the cut: %q", got)
		}
	})
}

func TestLossDelaysButLosesNothing(t *testing.T) {
	inLAN(t, func(w *world.World, n *Network, p *program) {
		c, err := n.Dial(until(w, time.Second), "n1", 80)
		if err != nil {
			t.Fatal(err)
		}
		n.SetCuts([]cluster.Cut{{To: "n1", Loss: 0.5}})
		want := "accepted"
		for range 100 {
			c.Write([]byte("x"))
			want += " x"
			w.SleepFor(10 * time.Millisecond)
		}
		w.SleepFor(5 * time.Minute)
		if got := told(p); got != want {
			t.Errorf("%d of %d bytes arrived", len(got), len(want))
		}
	})
}

func TestEndsOfProcessAndMachine(t *testing.T) {
	inLAN(t, func(w *world.World, n *Network, p *program) {
		a, err := n.Dial(until(w, time.Second), "n1", 80)
		if err != nil {
			t.Fatal(err)
		}
		// The kernel of a process that ended says goodbye for it.
		n.hosts["n1"].ProcessEnded(p)
		a.SetDeadline(world.Epoch.Add(w.Now() + time.Second))
		if _, err := a.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("after the process: %v", err)
		}
		n.hosts["n1"].listeners[80] = p
		b, err := n.Dial(until(w, time.Second), "n1", 80)
		if err != nil {
			t.Fatal(err)
		}
		// A machine without power says nothing, and when it is back it knows
		// nothing of its connections.
		n.hosts["n1"].PowerLost()
		b.SetDeadline(world.Epoch.Add(w.Now() + time.Second))
		if _, err := b.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("without power: %v", err)
		}
		b.SetDeadline(world.Epoch.Add(w.Now() + 10*time.Second))
		if _, err := b.Write([]byte("hello?")); err != nil {
			t.Error(err)
		}
		w.SleepFor(time.Second)
		n.hosts["n1"].up = true
		if _, err := b.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) || err == io.EOF {
			t.Errorf("with power again: %v", err)
		}
	})
}

// A process calls its sockets as the one before it did. What becomes of a socket that
// the earlier one has left behind is nothing to the later one's.
func TestIDsBeginAnew(t *testing.T) {
	for name, end := range map[string]func(h *Host, p *program){
		"killed":    func(h *Host, p *program) { h.ProcessEnded(p) },
		"power cut": func(h *Host, p *program) { h.PowerLost(); h.ProcessEnded(p); h.PowerOn() },
	} {
		t.Run(name, func(t *testing.T) {
			inLAN(t, func(w *world.World, n *Network, other *program) {
				h := n.AddHost("n2")
				h.PowerOn()
				first, second := &program{}, &program{}
				old := n.Connect(first, 7, "n2", "n1", 80)
				w.SleepFor(10 * time.Millisecond)
				end(h, first)
				// The other side goes on to talk to what is not there any more.
				far := n.hosts["n1"].Socket(1)
				s := n.Connect(second, 7, "n2", "n1", 80)
				w.SleepFor(10 * time.Millisecond)
				far.Send([]byte("hello?"))
				far.Close()
				w.SleepFor(time.Minute)
				if !old.gone || h.Socket(7) != s || s.gone {
					t.Fatalf("the old socket is gone: %v; the new one is %p, and %p has its id", old.gone, s, h.Socket(7))
				}
				// The owner of the new one is told of its end, like the other side.
				other.inbox = nil
				h.ProcessEnded(second)
				w.SleepFor(time.Minute)
				if got := told(other); got != "eof" {
					t.Errorf("the other side was told %q", got)
				}
				n.hosts["n1"].ProcessEnded(other)
				w.SleepFor(time.Minute)
				if len(h.all)+len(h.sockets) != 0 {
					t.Errorf("%d sockets are left", len(h.all))
				}
			})
		})
	}
}

// A power cut ends also what earlier processes had left behind: it is not sent again.
func TestPowerCutEndsWhatWasLeftBehind(t *testing.T) {
	inLAN(t, func(w *world.World, n *Network, other *program) {
		h := n.AddHost("n2")
		h.PowerOn()
		first, second := &program{}, &program{}
		n.Connect(first, 7, "n2", "n1", 80)
		w.SleepFor(10 * time.Millisecond)
		n.SetCuts([]cluster.Cut{{From: "n2", To: "n1", Loss: 1}})
		h.Socket(7).Send([]byte("lost"))
		h.ProcessEnded(first)
		n.Connect(second, 7, "n2", "n1", 80)
		w.SleepFor(10 * time.Millisecond)
		h.PowerLost()
		h.PowerOn()
		n.SetCuts(nil)
		w.SleepFor(time.Minute)
		if got := told(other); got != "accepted" {
			t.Errorf("after the power cut the other side was told %q", got)
		}
	})
}

func TestCutsAddUp(t *testing.T) {
	w := world.New(1)
	n := New(w, Latency{}, nil, nil)
	n.SetCuts([]cluster.Cut{{From: "a", To: "b", Loss: 0.5}, {From: "a", To: "b", Loss: 0.5}, {From: "b", To: "a", Loss: 1}})
	lost := 0
	for range 10000 {
		if n.Lost("a", "b") {
			lost++
		}
		if !n.Lost("b", "a") || n.Lost("a", "c") {
			t.Fatal("a whole cut leaks, or an open link loses")
		}
	}
	if share := float64(lost) / 10000; math.Abs(share-0.75) > 0.02 {
		t.Errorf("%.3f are lost, want 0.75", share)
	}
}
