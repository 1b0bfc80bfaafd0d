package sim

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"coup/cluster/sim/guest"
	"coup/cluster/trace"
)

// network carries connections between machines, and between machines and
// clients. Its packets are segments of a connection, which arrive in order; a
// segment that is lost is sent again, later and later, and holds up those
// behind it.
type network struct {
	w     *World
	rand  *rand.Rand
	hosts map[string]*host
	links map[link]*quality // that something is wrong with
	speed Latency
}

// Latency is how long a packet takes: at least Min, Jitter more on average, and
// once in TailOneIn packets up to Tail more.
type Latency struct {
	Min, Jitter, Tail time.Duration
	TailOneIn         int
}

// A network of machines in one building, some of them busy.
var defaultLatency = Latency{Min: 500 * time.Microsecond, Jitter: 500 * time.Microsecond, Tail: 40 * time.Millisecond, TailOneIn: 1000}

// Pauses before something is sent again, as Linux has them.
const (
	resendFirst  = 200 * time.Millisecond
	resendMost   = 30 * time.Second
	connectFirst = time.Second
	connectTries = 6
)

// host is an address: what a machine's kernel knows about connections.
type host struct {
	name      string
	up        bool               // has power
	listeners map[int]owner      // by port
	sockets   map[uint32]*socket // that a process accepted or dialled
}

// owner is who has a socket: a process or a client.
type owner interface {
	// notify tells what happened to a socket; see the kinds of guest.Event.
	notify(s *socket, kind byte, data []byte)
	// lead is how far the owner's time is ahead of the world's.
	lead() time.Duration
}

// socket is one end of a connection.
type socket struct {
	net    *network
	id     uint32
	host   string
	remote string
	owner  owner   // nil: closed
	peer   *socket // nil: not connected
	port   int     // that was dialled

	gone    bool          // the host has forgotten it
	ended   bool          // the peer has sent its last
	closing bool          // it has sent its own last
	blocked []segment     // lost, or behind one that is; first to be sent again
	pause   time.Duration // until then
	last    time.Duration // when the newest segment arrives
	tries   int           // of connecting
	talk    *talk         // nil: not traced
}

// segment is what a packet carries: guest.Data or guest.EOF.
type segment struct {
	kind byte
	data []byte
	id   uint64 // in the trace
}

func newNetwork(w *World, speed Latency) *network {
	return &network{
		w: w, rand: w.random("network"), hosts: map[string]*host{}, links: map[link]*quality{}, speed: speed,
	}
}

func (n *network) addHost(name string) *host {
	h := &host{name: name, listeners: map[int]owner{}, sockets: map[uint32]*socket{}}
	n.hosts[name] = h
	return h
}

func (n *network) up(name string) bool {
	h := n.hosts[name]
	return h != nil && h.up
}

func (n *network) latency() time.Duration {
	d := n.speed.Min + time.Duration(n.rand.ExpFloat64()*float64(n.speed.Jitter))
	if n.speed.TailOneIn > 0 && n.rand.IntN(n.speed.TailOneIn) == 0 {
		d += time.Duration(n.rand.Float64() * float64(n.speed.Tail))
	}
	return d
}

// connect starts to connect a socket of from, of that id, to a port. Its owner
// is told how it ended, unless it never does.
func (n *network) connect(o owner, id uint32, from, to string, port int) *socket {
	s := &socket{net: n, id: id, host: from, remote: to, owner: o, port: port}
	if h := n.hosts[from]; h != nil {
		h.sockets[id] = s
	}
	n.w.trace.dial(s)
	n.w.after(o.lead(), s.knock)
	return s
}

var errNoHost = errors.New("no such host")

// knock asks the other side to accept, again and again.
func (s *socket) knock() {
	if s.gone || s.owner == nil || s.peer != nil && s.tries < 0 {
		return
	}
	h := s.net.hosts[s.remote]
	if h == nil {
		s.refused(errNoHost.Error())
		return
	}
	if s.tries >= connectTries {
		s.refused("connection timed out")
		return
	}
	s.net.w.after(connectFirst<<s.tries, s.knock)
	s.tries++
	if !s.net.lost(s.host, s.remote) {
		s.net.w.after(s.net.travel(s.host, s.remote, 0), func() { s.knocked(h) })
	}
}

// knocked is when the other side hears of it.
func (s *socket) knocked(h *host) {
	if !h.up || s.gone {
		return
	}
	answer := func(say func()) {
		if !s.net.lost(h.name, s.host) {
			s.net.w.after(s.net.travel(h.name, s.host, 0), func() {
				if !s.gone && s.owner != nil && s.tries >= 0 {
					s.tries = -1 // no more knocking
					say()
				}
			})
		}
	}
	if s.peer == nil {
		o := h.listeners[s.port]
		if o == nil || s.net.resets(s.host, h.name) {
			answer(func() { s.refused("connection refused") })
			return
		}
		p := o.(*process)
		peer := &socket{net: s.net, id: p.nextID(), host: h.name, remote: s.host, owner: o, peer: s, talk: s.talk}
		h.sockets[peer.id] = peer
		s.peer = peer
		o.notify(peer, guest.Accepted, append([]byte{byte(s.port >> 8), byte(s.port)}, s.host...))
	}
	answer(func() {
		s.net.w.trace.opened(s)
		s.owner.notify(s, guest.Opened, nil)
	})
}

// refused tells the owner that there will be no connection.
func (s *socket) refused(why string) {
	s.net.w.trace.refused(s, why)
	s.owner.notify(s, guest.Refused, []byte(why))
	s.forget()
}

// send sends data. It takes it over.
func (s *socket) send(data []byte) error {
	if s.gone || s.closing || s.peer == nil {
		return fmt.Errorf("connection to %s is broken", s.remote)
	}
	s.transmit(segment{kind: guest.Data, data: data})
	return nil
}

// close ends the connection from this side: the owner hears no more of it.
func (s *socket) close() {
	if s.gone || s.closing {
		s.owner = nil
		return
	}
	if s.peer == nil { // not connected yet
		s.owner = nil
		s.forget()
		return
	}
	s.transmit(segment{kind: guest.EOF})
	s.owner, s.closing = nil, true
}

func (s *socket) transmit(g segment) {
	g.id = s.net.w.trace.sent(s, g)
	if len(s.blocked) > 0 {
		s.net.w.trace.packet(trace.Held, s, g, "")
		s.blocked = append(s.blocked, g)
		return
	}
	if s.net.lost(s.host, s.remote) || s.remote != "" && !s.net.up(s.remote) {
		s.net.w.trace.packet(trace.Lost, s, g, "")
		s.blocked = append(s.blocked, g)
		s.pause = resendFirst
		s.net.w.after(s.pause, s.resend)
		return
	}
	s.carry(g)
}

// resend sends what was lost once more.
func (s *socket) resend() {
	if s.gone || len(s.blocked) == 0 {
		return
	}
	if s.net.lost(s.host, s.remote) || s.remote != "" && !s.net.up(s.remote) {
		s.net.w.trace.packet(trace.Lost, s, s.blocked[0], "")
		s.pause = min(2*s.pause, resendMost)
		s.net.w.after(s.pause, s.resend)
		return
	}
	all := s.blocked
	s.blocked = nil
	for _, g := range all {
		s.net.w.trace.packet(trace.Resent, s, g, "")
		s.carry(g)
	}
}

// carry has a segment arrive after a while, behind those before it.
func (s *socket) carry(g segment) {
	at := s.net.w.now + s.net.travel(s.host, s.remote, len(g.data))
	if s.owner != nil {
		at += s.owner.lead()
	}
	s.last = max(s.last+1, at)
	peer := s.peer
	s.net.w.at(s.last, func() { peer.arrive(g) })
}

// arrive is when a segment reaches this end.
func (s *socket) arrive(g segment) {
	if s.remote != "" && s.host != "" && !s.net.up(s.host) {
		s.net.w.trace.packet(trace.Dropped, s.peer, g, "the machine has no power")
		return
	}
	if s.gone || s.owner == nil && g.kind == guest.Data {
		s.net.w.trace.packet(trace.Dropped, s.peer, g, "nobody has the connection any more")
		s.refuse()
		return
	}
	s.net.w.trace.packet(trace.Arrive, s.peer, g, "")
	if g.kind == guest.EOF {
		s.ended = true
		if s.closing {
			s.forget()
			s.peer.forget()
			return
		}
	}
	if s.owner != nil {
		s.owner.notify(s, g.kind, g.data)
	}
}

// refuse answers a segment that nobody wants: the other end is broken.
func (s *socket) refuse() {
	peer := s.peer
	s.forget()
	if s.net.lost(s.host, s.remote) {
		return
	}
	s.net.w.after(s.net.travel(s.host, s.remote, 0), func() {
		if !peer.gone && (peer.host == "" || s.net.up(peer.host)) {
			peer.reset()
		}
	})
}

// reset is when this end hears that the connection is broken.
func (s *socket) reset() {
	if s.gone {
		return
	}
	if s.owner != nil {
		s.net.w.trace.reset(s)
		s.owner.notify(s, guest.Reset, nil)
	}
	s.forget()
}

// forget removes the socket from its host.
func (s *socket) forget() {
	s.gone = true
	s.blocked = nil
	if h := s.net.hosts[s.host]; h != nil {
		delete(h.sockets, s.id)
	}
}

// sortedSockets lists the sockets of a host in a fixed order.
func (h *host) sortedSockets() []*socket {
	all := slices.Collect(maps.Values(h.sockets))
	slices.SortFunc(all, func(a, b *socket) int { return int(int64(a.id) - int64(b.id)) })
	return all
}

// processEnded closes what a process had, as its kernel does.
func (h *host) processEnded(o owner) {
	maps.DeleteFunc(h.listeners, func(_ int, l owner) bool { return l == o })
	for _, s := range h.sortedSockets() {
		if s.owner == o {
			s.close()
		}
	}
}

// powerLost forgets everything. Nobody is told.
func (h *host) powerLost() {
	h.up = false
	clear(h.listeners)
	for _, s := range h.sortedSockets() {
		s.owner = nil
		s.forget()
	}
}
