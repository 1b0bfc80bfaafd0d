// Package network carries connections between simulated machines, and between
// machines and clients.
//
// Start with [New]. The network carries streams, as TCP does (network.go): segments of a
// connection arrive in order. A lost segment is sent again, with growing pauses, and
// delays those behind it. So nothing is duplicated or reordered within a connection;
// packets of different connections overtake each other at any time. Links
// (link.go) can lose by direction, be late, be narrow, or reset what passes. A client's end of
// a connection is a net.Conn for tasks of the world (conn.go).
//
// The package is not called net, because its users need the standard library's.
// It knows machines only as hosts, and the program behind a socket only as an [Owner].
package network

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"coup/cluster/capture"
	"coup/cluster/sim/guest"
	"coup/cluster/sim/tracing"
	"coup/cluster/sim/world"
	"coup/cluster/trace"
)

// Network is all links between hosts, and the hosts.
type Network struct {
	w     *world.World
	trace traced
	taken *capture.Network // nil: packets are not captured
	rand  *rand.Rand
	hosts map[string]*Host
	links map[link]*quality // that something is wrong with
	speed Latency
}

// Latency is how long a packet takes: at least Min, Jitter more on average, and
// once in TailOneIn packets up to Tail more.
type Latency struct {
	Min, Jitter, Tail time.Duration
	TailOneIn         int
}

// OneBuilding is a network of machines in one building, some of them busy.
func OneBuilding() Latency {
	return Latency{Min: 500 * time.Microsecond, Jitter: 500 * time.Microsecond, Tail: 40 * time.Millisecond, TailOneIn: 1000}
}

// Pauses before something is sent again, as Linux has them.
const (
	resendFirst  = 200 * time.Millisecond
	resendMost   = 30 * time.Second
	connectFirst = time.Second
	connectTries = 6
)

// Host is an address: what a machine's kernel knows about connections.
type Host struct {
	name      string
	up        bool               // has power
	listeners map[int]Listener   // by port
	sockets   map[uint32]*Socket // of the running process, by its ids
	all       []*Socket          // these, and those that earlier processes have left behind
}

// open adds a socket, which has the id from now on.
func (h *Host) open(s *Socket) {
	h.sockets[s.id] = s
	h.all = append(h.all, s)
}

// forget removes a socket. Another one may have its id by now: each process begins anew.
func (h *Host) forget(s *Socket) {
	if h.sockets[s.id] == s {
		delete(h.sockets, s.id)
	}
	if i := slices.Index(h.all, s); i >= 0 {
		h.all = slices.Delete(h.all, i, i+1)
	}
}

// Owner is the process or the client that a socket belongs to.
type Owner interface {
	// Notify tells what happened to a socket; see the kinds of guest.Event.
	Notify(s *Socket, kind byte, data []byte)
	// Lead is how far the owner's time is ahead of the world's.
	Lead() time.Duration
}

// Listener is an owner that accepts connections.
type Listener interface {
	Owner
	// NextID is the id of a connection that it is about to accept.
	NextID() uint32
}

// Socket is one end of a connection.
type Socket struct {
	net    *Network
	id     uint32
	host   string
	remote string
	owner  Owner   // nil: closed
	peer   *Socket // nil: not connected
	port   int     // that was dialled

	gone    bool          // the host has forgotten it
	ended   bool          // the peer has sent its last
	closing bool          // it has sent its own last
	blocked []segment     // lost, or behind one that is; first to be sent again
	pause   time.Duration // until then
	last    time.Duration // when the newest segment arrives
	tries   int           // of connecting
	talk    *talk         // nil: not traced

	dialler  bool
	captured *capture.Connection // which both ends share; nil: it is not captured
}

// segment is what a packet carries: guest.Data or guest.EOF.
type segment struct {
	kind byte
	data []byte
	id   uint64 // in the trace
	wire *capture.Segment
}

// New returns a network without hosts. Its packets take as long as speed says; trace and
// taken, which watch them, may be nil.
func New(w *world.World, speed Latency, trace *tracing.Tracer, taken *capture.Network) *Network {
	return &Network{
		w: w, trace: traced{trace}, taken: taken, rand: w.Random("network"), hosts: map[string]*Host{}, links: map[link]*quality{}, speed: speed,
	}
}

// AddHost adds a host, which is switched off.
func (n *Network) AddHost(name string) *Host {
	h := &Host{name: name, listeners: map[int]Listener{}, sockets: map[uint32]*Socket{}}
	n.hosts[name] = h
	return h
}

// Up says whether a host is there and has power.
func (n *Network) Up(name string) bool {
	h := n.hosts[name]
	return h != nil && h.up
}

func (n *Network) latency() time.Duration {
	d := n.speed.Min + time.Duration(n.rand.ExpFloat64()*float64(n.speed.Jitter))
	if n.speed.TailOneIn > 0 && n.rand.IntN(n.speed.TailOneIn) == 0 {
		d += time.Duration(n.rand.Float64() * float64(n.speed.Tail))
	}
	return d
}

// Connect starts to connect a socket of the host from, with that id, to a port. The owner
// is told the outcome, if there ever is one.
func (n *Network) Connect(o Owner, id uint32, from, to string, port int) *Socket {
	s := &Socket{net: n, id: id, host: from, remote: to, owner: o, port: port, dialler: true, captured: n.taken.Connect(from, to, port)}
	if h := n.hosts[from]; h != nil {
		h.open(s)
	}
	n.trace.dial(s)
	n.w.After(o.Lead(), s.knock)
	return s
}

var errNoHost = errors.New("no such host")

// knock asks the other side to accept, again and again.
func (s *Socket) knock() {
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
	s.net.w.After(connectFirst<<s.tries, s.knock)
	s.tries++
	wire := s.captured.Knock()
	if s.net.Lost(s.host, s.remote) {
		s.captured.Leaves(wire, s.net.w.Now(), s.net.whyLost(s.host, s.remote))
		return
	}
	s.captured.Leaves(wire, s.net.w.Now(), "")
	s.net.w.After(s.net.Travel(s.host, s.remote, 0), func() {
		if h.up {
			s.captured.Arrives(wire, "")
		}
		s.knocked(h)
	})
}

// knocked is when the other side hears of it.
func (s *Socket) knocked(h *Host) {
	if !h.up || s.gone {
		return
	}
	answer := func(wire *capture.Segment, say func()) {
		if s.net.Lost(h.name, s.host) {
			s.captured.Leaves(wire, s.net.w.Now(), s.net.whyLost(h.name, s.host))
		} else {
			s.captured.Leaves(wire, s.net.w.Now(), "")
			s.net.w.After(s.net.Travel(h.name, s.host, 0), func() {
				if s.net.hears(s.host) {
					s.captured.Arrives(wire, "")
				}
				if !s.gone && s.owner != nil && s.tries >= 0 {
					s.tries = -1 // no more knocking
					say()
				}
			})
		}
	}
	if s.peer == nil {
		o := h.listeners[s.port]
		if o == nil || s.net.Resets(s.host, h.name) {
			answer(s.captured.Reset(false), func() { s.refused("connection refused") })
			return
		}
		peer := &Socket{net: s.net, id: o.NextID(), host: h.name, remote: s.host, owner: o, peer: s, talk: s.talk, captured: s.captured}
		h.open(peer)
		s.peer = peer
		o.Notify(peer, guest.Accepted, append([]byte{byte(s.port >> 8), byte(s.port)}, s.host...))
	}
	answer(s.captured.Answer(), func() {
		s.net.trace.opened(s)
		s.owner.Notify(s, guest.Opened, nil)
	})
}

// refused tells the owner that there will be no connection.
func (s *Socket) refused(why string) {
	s.net.trace.refused(s, why)
	s.owner.Notify(s, guest.Refused, []byte(why))
	s.forget()
}

// ID is the owner's id of the socket.
func (s *Socket) ID() uint32 { return s.id }

// Send sends data, which the caller must not use any more.
func (s *Socket) Send(data []byte) error {
	if s.gone || s.closing || s.peer == nil {
		return fmt.Errorf("connection to %s is broken", s.remote)
	}
	s.transmit(segment{kind: guest.Data, data: data})
	return nil
}

// Close ends the connection from this side: the owner hears no more of it.
func (s *Socket) Close() {
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

func (s *Socket) transmit(g segment) {
	g.id = s.net.trace.sent(s, g)
	if g.kind == guest.EOF {
		g.wire = s.captured.End(s.dialler)
	} else {
		g.wire = s.captured.Data(s.dialler, g.data)
	}
	if len(s.blocked) > 0 {
		s.net.trace.packet(trace.Held, s, g, "")
		s.blocked = append(s.blocked, g)
		return
	}
	if s.net.Lost(s.host, s.remote) || s.remote != "" && !s.net.Up(s.remote) {
		s.net.trace.packet(trace.Lost, s, g, "")
		s.leaves(g, s.net.whyLost(s.host, s.remote))
		s.blocked = append(s.blocked, g)
		s.pause = resendFirst
		s.net.w.After(s.pause, s.resend)
		return
	}
	s.carry(g)
}

// resend sends what was lost once more.
func (s *Socket) resend() {
	if s.gone || len(s.blocked) == 0 {
		return
	}
	if s.net.Lost(s.host, s.remote) || s.remote != "" && !s.net.Up(s.remote) {
		s.net.trace.packet(trace.Lost, s, s.blocked[0], "")
		s.leaves(s.blocked[0], s.net.whyLost(s.host, s.remote))
		s.pause = min(2*s.pause, resendMost)
		s.net.w.After(s.pause, s.resend)
		return
	}
	all := s.blocked
	s.blocked = nil
	for _, g := range all {
		s.net.trace.packet(trace.Resent, s, g, "")
		s.carry(g)
	}
}

// carry has a segment arrive after a while, behind those before it.
func (s *Socket) carry(g segment) {
	s.leaves(g, "")
	at := s.net.w.Now() + s.net.Travel(s.host, s.remote, len(g.data))
	if s.owner != nil {
		at += s.owner.Lead()
	}
	s.last = max(s.last+1, at)
	peer := s.peer
	s.net.w.At(s.last, func() { peer.arrive(g) })
}

// arrive is when a segment reaches this end.
func (s *Socket) arrive(g segment) {
	if s.remote != "" && s.host != "" && !s.net.Up(s.host) {
		s.net.trace.packet(trace.Dropped, s.peer, g, "the machine has no power")
		return
	}
	if s.gone || s.owner == nil && g.kind == guest.Data {
		s.net.trace.packet(trace.Dropped, s.peer, g, "nobody has the connection any more")
		s.captured.Arrives(g.wire, "dropped: nobody has the connection any more")
		s.refuse()
		return
	}
	s.net.trace.packet(trace.Arrive, s.peer, g, "")
	s.captured.Arrives(g.wire, "")
	if g.kind == guest.EOF {
		s.ended = true
		if s.closing {
			s.forget()
			s.peer.forget()
			return
		}
	}
	if s.owner != nil {
		s.owner.Notify(s, g.kind, g.data)
	}
}

// refuse answers a segment for a socket that is gone: the other end is reset.
func (s *Socket) refuse() {
	peer := s.peer
	s.forget()
	wire := s.captured.Reset(s.dialler)
	if s.net.Lost(s.host, s.remote) {
		s.captured.Leaves(wire, s.net.w.Now(), s.net.whyLost(s.host, s.remote))
		return
	}
	s.captured.Leaves(wire, s.net.w.Now(), "")
	s.net.w.After(s.net.Travel(s.host, s.remote, 0), func() {
		if s.net.hears(s.remote) {
			s.captured.Arrives(wire, "")
		}
		if !peer.gone && (peer.host == "" || s.net.Up(peer.host)) {
			peer.reset()
		}
	})
}

// reset is when this end hears that the connection is broken.
func (s *Socket) reset() {
	if s.gone {
		return
	}
	if s.owner != nil {
		s.net.trace.reset(s)
		s.owner.Notify(s, guest.Reset, nil)
	}
	s.forget()
}

// forget removes the socket from its host.
func (s *Socket) forget() {
	s.gone = true
	s.blocked = nil
	if h := s.net.hosts[s.host]; h != nil {
		h.forget(s)
	}
}

// sortedSockets lists the sockets of a host by their ids, older ones first.
func (h *Host) sortedSockets() []*Socket {
	all := slices.Clone(h.all)
	slices.SortStableFunc(all, func(a, b *Socket) int { return int(int64(a.id) - int64(b.id)) })
	return all
}

// Listen has a process accept what comes to a port.
func (h *Host) Listen(port int, l Listener) { h.listeners[port] = l }

// Socket is the one with that id of the host's process, nil if there is none.
func (h *Host) Socket(id uint32) *Socket { return h.sockets[id] }

// HasPower says whether the host is switched on.
func (h *Host) HasPower() bool { return h.up }

// PowerOn switches the host on.
func (h *Host) PowerOn() { h.up = true }

// ProcessEnded closes the sockets of a process, as its kernel does.
func (h *Host) ProcessEnded(o Owner) {
	maps.DeleteFunc(h.listeners, func(_ int, l Listener) bool { return Owner(l) == o })
	for _, s := range h.sortedSockets() {
		if s.owner == o {
			s.Close()
			if h.sockets[s.id] == s {
				delete(h.sockets, s.id)
			}
		}
	}
}

// PowerLost forgets all sockets, without a word to their peers.
func (h *Host) PowerLost() {
	h.up = false
	clear(h.listeners)
	for _, s := range h.sortedSockets() {
		s.owner = nil
		s.forget()
	}
}
