package capture

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Network makes the files of a simulated network. It only watches: what it is told decides what
// it writes, to the byte. It is not safe for concurrent use.
//
// Nothing is made up: a packet that was never simulated is in no file. So there are no
// acknowledgements by themselves, and connections are opened with two packets; each packet
// acknowledges all that its sender had by then.
type Network struct {
	dir   string
	bound int64
	epoch time.Time
	now   func() time.Duration
	nodes []*wire // in their order, and the clients as the last one
	err   error   // the first that there was
	over  bool    // nothing more is written
}

// wire is where a machine is connected to the network, and the file of what passes there.
type wire struct {
	host
	name    string
	ring    *Ring
	dir     string   // of the ring
	pending []passed // what programs have sent that are ahead of the world, in the order of time
	port    uint16   // that was given to the newest connection
}

type passed struct {
	at     time.Duration
	packet Packet
}

// NewNetwork begins files of at most bound bytes each in the folder dir, which it makes, for nodes and
// their clients. epoch is the time of the nodes' clocks at the start; now is the world's
// time, which does not go back.
func NewNetwork(dir string, bound int64, nodes []string, epoch time.Time, now func() time.Duration) (*Network, error) {
	n := &Network{dir: dir, bound: bound, epoch: epoch, now: now}
	for i, name := range append(slices.Clone(nodes), Clients) {
		address := netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)})
		if name == Clients {
			address = netip.AddrFrom4([4]byte{10, 0, 1, 1})
		}
		w := &wire{host: hostAt(address), name: name, dir: filepath.Join(dir, "."+name), port: firstPort - 1}
		if err := os.MkdirAll(w.dir, 0o755); err != nil {
			return nil, err
		}
		w.ring = NewRing(w.dir, bound)
		n.nodes = append(n.nodes, w)
	}
	return n, nil
}

// Ports of clients, as Linux gives them.
const firstPort, lastPort = 32768, 60999

// wireOf is that of a node; "" stands for the clients.
func (n *Network) wireOf(name string) *wire {
	if name == "" {
		name = Clients
	}
	for _, w := range n.nodes {
		if w.name == name {
			return w
		}
	}
	return nil
}

// Connection is one between two machines. A nil Connection does nothing.
type Connection struct {
	net  *Network
	ends [2]end // the one that dialled, and the other
}

// end is an end of a connection.
type end struct {
	*wire
	port  uint16
	first uint32 // sequence number of its first segment
	sent  uint32 // how far its stream has got
	had   uint32 // how far that of the other end has got here
	heard bool   // it has heard of the other one at all
}

// Connect is when a machine begins to connect to a port; "" is the clients' side. It is nil
// if one of them is not there. A nil Network does nothing.
func (n *Network) Connect(from, to string, port int) *Connection {
	if n == nil {
		return nil
	}
	a, b := n.wireOf(from), n.wireOf(to)
	if a == nil || b == nil {
		return nil
	}
	if a.port++; a.port > lastPort {
		a.port = firstPort
	}
	c := &Connection{net: n}
	// Where sequence numbers begin is of no matter: it tells two connections of one port apart.
	c.ends[0] = end{wire: a, port: a.port, first: uint32(a.port) << 12}
	c.ends[1] = end{wire: b, port: uint16(port), first: uint32(a.port)<<12 + 1<<28}
	return c
}

// Segment is a segment of a connection, of which packets carry one or several copies.
type Segment struct {
	dialler bool
	tcp     tcp
	data    []byte
}

func (c *Connection) endOf(dialler bool) (from, to *end) {
	if dialler {
		return &c.ends[0], &c.ends[1]
	}
	return &c.ends[1], &c.ends[0]
}

// segment is one that an end sends next.
func (c *Connection) segment(dialler bool, flags byte, data []byte) *Segment {
	from, to := c.endOf(dialler)
	return &Segment{dialler: dialler, data: data, tcp: tcp{from: from.port, to: to.port, flags: flags, seq: from.first + 1 + from.sent}}
}

// Knock is the first segment of a connection, and Answer the one that accepts it.
func (c *Connection) Knock() *Segment { return c.opening(true, flagSYN) }

// Answer is the segment that accepts a connection.
func (c *Connection) Answer() *Segment { return c.opening(false, flagSYN) }

func (c *Connection) opening(dialler bool, flags byte) *Segment {
	if c == nil {
		return nil
	}
	s := c.segment(dialler, flags, nil)
	from, _ := c.endOf(dialler)
	s.tcp.seq, s.tcp.first = from.first, true
	return s
}

// Data is the next data of an end's stream. It must not be changed any more.
func (c *Connection) Data(dialler bool, data []byte) *Segment {
	if c == nil {
		return nil
	}
	s := c.segment(dialler, flagPSH, data)
	from, _ := c.endOf(dialler)
	from.sent += uint32(len(data))
	return s
}

// End ends an end's stream.
func (c *Connection) End(dialler bool) *Segment {
	if c == nil {
		return nil
	}
	s := c.segment(dialler, flagFIN, nil)
	from, _ := c.endOf(dialler)
	from.sent++
	return s
}

// Reset breaks a connection.
func (c *Connection) Reset(dialler bool) *Segment {
	if c == nil {
		return nil
	}
	return c.segment(dialler, flagRST, nil)
}

// Leaves is when a packet with a segment leaves its machine, at a time that may be ahead of the
// world's. comment is what is known of its fate, or "". It may leave again.
func (c *Connection) Leaves(s *Segment, at time.Duration, comment string) {
	if c == nil || s == nil {
		return
	}
	from, _ := c.endOf(s.dialler)
	if s.tcp.ack = 0; from.heard {
		_, other := c.endOf(s.dialler)
		s.tcp.ack = other.first + 1 + from.had
		s.tcp.flags |= flagACK
	}
	c.pass(from.wire, s, at, Outbound, comment)
}

// Arrives is when the packet of a segment that left last reaches the other machine.
func (c *Connection) Arrives(s *Segment, comment string) {
	if c == nil || s == nil {
		return
	}
	_, to := c.endOf(s.dialler)
	to.heard = true
	n := uint32(len(s.data))
	if s.tcp.flags&flagFIN != 0 {
		n++
	}
	if s.tcp.flags&(flagSYN|flagRST) == 0 {
		to.had += n // segments arrive in order, each once
	}
	c.pass(to.wire, s, c.net.now(), Inbound, comment)
}

// pass writes the frames of a segment where it leaves or arrives.
func (c *Connection) pass(at *wire, s *Segment, when time.Duration, d Direction, comment string) {
	from, to := c.endOf(s.dialler)
	t, data := s.tcp, s.data
	for {
		part := data[:min(len(data), mostData)]
		data = data[len(part):]
		c.net.take(at, when, Packet{Direction: d, Data: appendFrame(nil, from.host, to.host, t, part), Comment: comment})
		t.seq += uint32(len(part))
		if len(data) == 0 {
			return
		}
	}
}

// take has a packet written in the order of time.
func (n *Network) take(w *wire, at time.Duration, p Packet) {
	if n.over {
		return
	}
	n.flush(w, n.now())
	p.Time = n.epoch.UnixNano() + int64(at)
	i := len(w.pending)
	for i > 0 && w.pending[i-1].at > at {
		i--
	}
	w.pending = slices.Insert(w.pending, i, passed{at, p})
}

// flush writes what is older than that.
func (n *Network) flush(w *wire, than time.Duration) {
	i := 0
	for ; i < len(w.pending) && w.pending[i].at < than; i++ {
		if err := w.ring.Add(w.pending[i].packet); err != nil && n.err == nil {
			n.err = err
		}
	}
	w.pending = slices.Delete(w.pending, 0, i)
}

// forever is later than anything that happens.
const forever = time.Duration(1<<63 - 1)

// Close writes the files and tells of them.
func (n *Network) Close() (*Set, error) {
	set := &Set{Epoch: n.epoch, Clients: n.nodes[len(n.nodes)-1].address.String(), Bound: int(n.bound >> 20)}
	n.over = true
	var names []Name
	for _, w := range n.nodes {
		names = append(names, Name{w.address, w.name})
	}
	for _, w := range n.nodes {
		n.flush(w, forever)
		kept, err := w.ring.Close()
		file := File{Node: w.name, Name: Dir + "/" + w.name + ".pcapng", Address: w.address.String(), Packets: kept.Packets, Forgotten: kept.Forgotten}
		if kept.Packets > 0 {
			file.From, file.To = time.Duration(kept.First-n.epoch.UnixNano()), time.Duration(kept.Last-n.epoch.UnixNano())
		}
		head := Head{
			Comment:    set.About(w.name) + " They were simulated: there are no acknowledgements by themselves, and lost packets have a comment.",
			Interfaces: []Interface{{w.name, fmt.Sprintf("the simulated network card of %s", w.name)}}, Names: names,
		}
		if err == nil {
			file.Size, err = Create(filepath.Join(n.dir, w.name+".pcapng"), func(f io.Writer) error {
				return head.Write(f, kept.Segments, func(name string) (io.ReadCloser, error) { return os.Open(filepath.Join(w.dir, name)) }, kept.Last, kept.Packets+kept.Forgotten, 0)
			})
		}
		if err != nil {
			file.Failed = err.Error()
			if n.err == nil {
				n.err = err
			}
		}
		os.RemoveAll(w.dir)
		set.Files = append(set.Files, file)
	}
	return set, n.err
}

// About is what the file of a node says of itself.
func (s *Set) About(node string) string {
	return fmt.Sprintf("Packets of %s, as coup took them. What the run's history has at 0 is at %s here.", node, s.EpochTime(0))
}
