package network

import (
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"coup/cluster"
	"coup/cluster/sim/world"
)

func TestDelay(t *testing.T) {
	inLAN(t, func(w *world.World, n *Network, p *program) {
		c, err := n.Dial(until(w, time.Second), "n1", 80)
		if err != nil {
			t.Fatal(err)
		}
		n.SetCuts([]cluster.Cut{{To: "n1", Delay: 100 * time.Millisecond}, {To: "n1", Delay: 50 * time.Millisecond, Jitter: 50 * time.Millisecond}})
		want := "accepted"
		for i := range 50 {
			fmt.Fprint(c, i)
			want += fmt.Sprint(" ", i)
		}
		w.SleepFor(150 * time.Millisecond)
		if got := told(p); got != "accepted" {
			t.Errorf("too early: %q", got)
		}
		w.SleepFor(10 * time.Second)
		if got := told(p); got != want {
			t.Errorf("in another order: %q", got)
		}
		total, slowest := time.Duration(0), time.Duration(0)
		for range 1000 {
			d := n.Travel("", "n1", 0)
			total, slowest = total+d, max(slowest, d)
		}
		if mean := total / 1000; mean < 190*time.Millisecond || mean > 260*time.Millisecond || slowest < 500*time.Millisecond {
			t.Errorf("a packet takes %v on average, and %v at most", mean, slowest)
		}
		if back := n.Travel("n1", "", 0); back > 10*time.Millisecond {
			t.Errorf("the other direction takes %v", back)
		}
	})
}

// Of two connections, what was sent later on one can arrive before what was
// sent earlier on the other: that is all the reordering that streams show.
func TestConnectionsOvertakeEachOther(t *testing.T) {
	inLAN(t, func(w *world.World, n *Network, p *program) {
		a, errA := n.Dial(until(w, time.Second), "n1", 80)
		b, errB := n.Dial(until(w, time.Second), "n1", 80)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		n.SetCuts([]cluster.Cut{{To: "n1", Jitter: 100 * time.Millisecond}})
		overtaken := 0
		for range 50 {
			p.inbox = nil
			fmt.Fprint(a, "first")
			fmt.Fprint(b, "second")
			w.SleepFor(20 * time.Second)
			if told(p) == "second first" {
				overtaken++
			}
		}
		if overtaken < 10 || overtaken > 40 {
			t.Errorf("%d of 50", overtaken)
		}
	})
}

func TestBandwidth(t *testing.T) {
	inLAN(t, func(w *world.World, n *Network, p *program) {
		c, err := n.Dial(until(w, time.Second), "n1", 80)
		if err != nil {
			t.Fatal(err)
		}
		n.SetCuts([]cluster.Cut{{To: "n1", Rate: 100_000}, {To: "n1", Rate: 10_000}})
		arrived := func() (bytes int) {
			for _, e := range p.inbox {
				bytes += len(e.Data)
			}
			return bytes
		}
		before := arrived()
		for range 100 { // 15 kB in 3 s: less than passes
			c.Write(make([]byte, 150))
			w.SleepFor(30 * time.Millisecond)
		}
		if got := arrived() - before; got < 14_000 {
			t.Errorf("%d of 15000 bytes arrived", got)
		}
		before = arrived()
		for range 100 { // 100 kB in 1 s
			c.Write(make([]byte, 1000))
			w.SleepFor(10 * time.Millisecond)
		}
		if got := arrived() - before; got < 5_000 || got > 11_000 {
			t.Errorf("%d bytes arrived in a second, and 10000 pass", got)
		}
		if !n.Lost("", "n1") {
			t.Error("the queue has no end")
		}
		n.SetCuts(nil)
		w.SleepFor(time.Minute)
		if got := arrived() - before; got != 101_000 && got != 100_000 {
			t.Errorf("%d bytes arrived in the end, of 100000", got)
		}
	})
}

func TestReset(t *testing.T) {
	inLAN(t, func(w *world.World, n *Network, p *program) {
		n.AddHost("n2").PowerOn()
		q := &program{}
		s := n.Connect(q, 2, "n2", "n1", 80)
		client, err := n.Dial(until(w, time.Second), "n1", 80)
		if err != nil {
			t.Fatal(err)
		}
		if got := n.Connections("n2", "n1"); got != 1 || n.Connections("n1", "n2") != 1 || n.Resets("n1", "n2") {
			t.Errorf("%d connections", got)
		}
		p.inbox, q.inbox = nil, nil
		n.SetCuts([]cluster.Cut{{From: "n1", To: "n2", Reset: true}})
		if told(p) != "reset" || told(q) != "reset" || !s.gone || n.Connections("n2", "n1")+n.Connections("n1", "n2") != 0 {
			t.Errorf("told %q and %q", told(p), told(q))
		}
		if s.Send([]byte("x")) == nil {
			t.Error("a connection that was reset takes more")
		}
		n.Connect(q, 4, "n2", "n1", 80)
		w.SleepFor(time.Second)
		if e := q.inbox[len(q.inbox)-1]; !strings.Contains(string(e.Data), "refused") {
			t.Errorf("another connection: %+v", e)
		}
		if _, err := client.Write([]byte("x")); err != nil {
			t.Errorf("a client's connection: %v", err)
		}
		n.SetCuts(nil)
		n.Connect(q, 6, "n2", "n1", 80)
		w.SleepFor(time.Second)
		if n.Connections("n2", "n1") != 1 {
			t.Error("after it no connection is possible")
		}
	})
}

// A machine that lost power and is back knows nothing of a connection that its
// peer takes for alive, until the peer says something.
func TestHalfOpen(t *testing.T) {
	inLAN(t, func(w *world.World, n *Network, p *program) {
		c, err := n.Dial(until(w, time.Second), "n1", 80)
		if err != nil {
			t.Fatal(err)
		}
		n.hosts["n1"].PowerLost()
		n.hosts["n1"].up = true
		c.SetDeadline(world.Epoch.Add(w.Now() + time.Minute))
		if _, err := c.Read(make([]byte, 1)); err == nil || err == io.EOF || w.Now() < time.Minute {
			t.Errorf("heard of it after %v: %v", w.Now(), err)
		}
		c.SetDeadline(time.Time{})
		if _, err := c.Write([]byte("hello?")); err != nil {
			t.Error(err)
		}
		if _, err := c.Read(make([]byte, 1)); err != syscall.ECONNRESET {
			t.Errorf("after it spoke: %v", err)
		}
	})
}

func TestCutsInWords(t *testing.T) {
	for want, c := range map[string]cluster.Cut{
		"a->b 50%":               {From: "a", To: "b", Loss: 0.5},
		"->b 0% +1s~2s":          {To: "b", Delay: time.Second, Jitter: 2 * time.Second},
		"a->b 0% 7 B/s reset":    {From: "a", To: "b", Rate: 7, Reset: true},
		"a->b 100% +0s~1s 1 B/s": {From: "a", To: "b", Loss: 1, Jitter: time.Second, Rate: 1},
	} {
		if c.String() != want {
			t.Errorf("%q, want %q", c, want)
		}
	}
}
