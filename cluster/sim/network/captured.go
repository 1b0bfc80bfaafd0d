package network

import "fmt"

// What a capture is told beside the packets. It draws nothing and changes nothing.

// leaves tells that a segment leaves.
func (s *Socket) leaves(g segment, comment string) {
	at := s.net.w.Now()
	if s.owner != nil {
		at += s.owner.Lead()
	}
	s.captured.Leaves(g.wire, at, comment)
}

// brokenOnTheWay tells that this end gets a reset that the other one has not sent.
func (s *Socket) brokenOnTheWay() {
	if !s.gone && s.net.hears(s.host) {
		s.captured.Arrives(s.captured.Reset(!s.dialler), "sent by the network, which resets connections here")
	}
}

// hears says whether what reaches a host is received there; "" is the clients.
func (n *Network) hears(host string) bool { return host == "" || n.Up(host) }

// whyLost says why a packet was lost.
func (n *Network) whyLost(from, to string) string {
	q := n.links[link{from, to}]
	switch {
	case to != "" && !n.Up(to):
		return fmt.Sprintf("lost: %s has no power", to)
	case q == nil:
		return "lost"
	case q.rate > 0 && q.free > n.w.Now()+longestQueue:
		return fmt.Sprintf("lost: the queue of the narrow link from %s to %s is full", endName(from), endName(to))
	}
	return fmt.Sprintf("lost: a cut drops %.0f%% from %s to %s", q.loss*100, endName(from), endName(to))
}
