package network

import (
	"time"

	"coup/cluster"
)

// link is a direction between two hosts; the clients' is "".
type link struct{ from, to string }

// quality is what is wrong with a link.
type quality struct {
	loss          float64
	delay, jitter time.Duration
	rate          int // bytes in a second; 0: no limit
	reset         bool
	free          time.Duration // when what was sent so far has passed a link with a limit
}

const (
	// One in slowOneIn packets that jitter waits slowTimes as long.
	slowOneIn, slowTimes = 20, 10
	// header is what a packet takes beside its data.
	header = 60
	// A link with a limit drops what would have to wait longer, as a router does
	// whose buffer is full.
	longestQueue = 500 * time.Millisecond
)

// SetCuts gives the network exactly these cuts. If there are several for one link, a packet
// is lost if any of them loses it, delays add up, and the lowest rate counts.
func (n *Network) SetCuts(cuts []cluster.Cut) {
	before := n.links
	n.links = map[link]*quality{}
	for _, c := range cuts {
		l := link{c.From, c.To}
		q := n.links[l]
		if q == nil {
			q = &quality{}
			n.links[l] = q
			if old := before[l]; old != nil {
				q.free = old.free
			}
		}
		q.loss = 1 - (1-q.loss)*(1-c.Loss)
		q.delay += c.Delay
		q.jitter += c.Jitter
		if c.Rate > 0 && (q.rate == 0 || c.Rate < q.rate) {
			q.rate = c.Rate
		}
		q.reset = q.reset || c.Reset
	}
	n.trace.cuts(cuts)
	for _, c := range cuts {
		if c.Reset {
			n.breakAll(c.From, c.To)
		}
	}
}

// Lost draws whether a packet is lost on its way.
func (n *Network) Lost(from, to string) bool {
	q := n.links[link{from, to}]
	switch {
	case q == nil:
		return false
	case q.rate > 0 && q.free > n.w.Now()+longestQueue:
		return true
	}
	return q.loss > 0 && (q.loss >= 1 || n.rand.Float64() < q.loss)
}

// Travel is how long a packet takes that is not lost.
func (n *Network) Travel(from, to string, size int) time.Duration {
	d := n.latency()
	q := n.links[link{from, to}]
	if q == nil {
		return d
	}
	if q.rate > 0 {
		q.free = max(q.free, n.w.Now()) + time.Duration(size+header)*time.Second/time.Duration(q.rate)
		d += q.free - n.w.Now()
	}
	d += q.delay
	if q.jitter > 0 {
		more := time.Duration(n.rand.ExpFloat64() * float64(q.jitter))
		if n.rand.IntN(slowOneIn) == 0 {
			more *= slowTimes
		}
		d += more
	}
	return d
}

// Resets says whether connections over a link, in either direction, are reset.
func (n *Network) Resets(a, b string) bool {
	for _, l := range []link{{a, b}, {b, a}} {
		if q := n.links[l]; q != nil && q.reset {
			return true
		}
	}
	return false
}

// breakAll resets the connections between two hosts, as a device between them can: each
// end is told that the other has hung up.
func (n *Network) breakAll(from, to string) {
	if h := n.hosts[from]; h != nil {
		for _, s := range h.sortedSockets() {
			if s.remote == to && s.peer != nil {
				s.brokenOnTheWay()
				s.peer.brokenOnTheWay()
				s.reset()
				s.peer.reset()
			}
		}
	}
}

// Connections counts the open ones between two hosts.
func (n *Network) Connections(from, to string) (open int) {
	if h := n.hosts[from]; h != nil {
		for _, s := range h.sortedSockets() {
			if s.remote == to && s.peer != nil && s.owner != nil {
				open++
			}
		}
	}
	return open
}
