package sandbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gopacket/gopacket/afpacket"
	"golang.org/x/net/bpf"

	"coup/cluster/capture"
)

// Interfaces of a node, in the order of their numbers in captures.
const (
	cardInterface = iota // that the other nodes and the clients are reached by
	loopInterface
)

const (
	blockSize = 512 << 10
	blocks    = 8
	// lateness is how long the kernel keeps packets before it hands over what it has.
	lateness = 50 * time.Millisecond
)

// taking is a capture of the packets of this network namespace. Its methods are safe for
// concurrent use; those of a nil one do nothing.
type taking struct {
	socket *afpacket.TPacket
	loop   int // index of the loopback
	card   net.HardwareAddr
	ring   *capture.Ring
	until  atomic.Int64 // nanoseconds since 1970; 0: on and on
	ended  chan struct{}

	mu   sync.Mutex
	cuts []cuts // the newest last
}

// cuts are what the packet filter drops for a while. While it is being changed there are none.
type cuts struct {
	from, to int64 // nanoseconds since 1970; to 0: on and on
	drops    map[netip.Addr]Drop
}

// newTaking begins a capture into a folder.
func newTaking(dir string, bound int64) (*taking, error) {
	t := &taking{ring: capture.NewRing(dir, bound), ended: make(chan struct{})}
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	for _, i := range all {
		if i.Flags&net.FlagLoopback != 0 {
			t.loop = i.Index
		} else {
			t.card = i.HardwareAddr
		}
	}
	t.socket, err = afpacket.NewTPacket(afpacket.TPacketVersion3, afpacket.OptBlockSize(blockSize), afpacket.OptNumBlocks(blocks),
		afpacket.OptBlockTimeout(lateness), afpacket.OptPollTimeout(2*lateness))
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		return nil, errors.New("capture: packets can be taken only with the capability NET_RAW, and the engine gives it to no container: run without --capture, or allow it")
	}
	if err == nil {
		err = t.filter()
	}
	if err != nil {
		return nil, fmt.Errorf("capture: packet socket: %w", err)
	}
	go t.run()
	return t, nil
}

// filter has the kernel leave out one of the two copies of a packet over the loopback.
func (t *taking) filter() error {
	const outgoing = 4 // PACKET_OUTGOING
	program, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtInterfaceIndex},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(t.loop), SkipFalse: 2},
		bpf.LoadExtension{Num: bpf.ExtType},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: outgoing, SkipTrue: 1},
		bpf.RetConstant{Val: capture.SnapLength},
		bpf.RetConstant{},
	})
	if err != nil {
		return err
	}
	return t.socket.SetBPF(program)
}

// run takes packets until it is to end.
func (t *taking) run() {
	defer close(t.ended)
	for {
		data, info, err := t.socket.ZeroCopyReadPacketData()
		until := t.until.Load()
		if err != nil {
			if until != 0 {
				return
			}
			if !errors.Is(err, afpacket.ErrTimeout) {
				time.Sleep(lateness) // an interface went down; another one may be there
			}
			continue
		}
		at := info.Timestamp.UnixNano()
		if until != 0 && at > until {
			return
		}
		p := capture.Packet{Time: at, Data: data, Length: info.Length}
		if info.InterfaceIndex == t.loop {
			p.Interface = loopInterface
		} else {
			p.Direction, p.Comment = t.look(at, data)
		}
		t.ring.Add(p) // its error is that of Close, too
	}
}

// look tells which way a packet went, and what the packet filter does with it: the socket
// sees it before that.
func (t *taking) look(at int64, data []byte) (capture.Direction, string) {
	const addresses, header, ipSource = 12, 14, 12
	if len(data) < header {
		return capture.Unknown, ""
	}
	if string(data[6:addresses]) == string(t.card) {
		return capture.Outbound, ""
	}
	if binary.BigEndian.Uint16(data[addresses:]) != 0x0800 || len(data) < header+ipSource+4 {
		return capture.Inbound, ""
	}
	source := netip.AddrFrom4([4]byte(data[header+ipSource:]))
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := len(t.cuts) - 1; i >= 0; i-- {
		c := t.cuts[i]
		if at < c.from || c.to != 0 && at >= c.to {
			continue
		}
		d, cut := c.drops[source]
		switch {
		case cut && d.Loss >= 1:
			return capture.Inbound, fmt.Sprintf("dropped here: a cut drops 100%% from %s", d.Name)
		case cut:
			return capture.Inbound, fmt.Sprintf("a cut drops %.0f%% from %s here; nobody knows whether this one", d.Loss*100, d.Name)
		}
	}
	return capture.Inbound, ""
}

// mostCuts is how many changes of the packet filter are remembered: the kernel hands packets
// over within lateness.
const mostCuts = 16

// changing does what changes the packet filter to f, and notes from when to when it is in force.
func (t *taking) changing(f Filter, do func() error) error {
	if t == nil {
		return do()
	}
	t.mu.Lock()
	if n := len(t.cuts); n > 0 {
		t.cuts[n-1].to = time.Now().UnixNano()
	}
	t.mu.Unlock()
	if err := do(); err != nil {
		return err
	}
	now := cuts{from: time.Now().UnixNano(), drops: map[netip.Addr]Drop{}}
	for _, d := range f.Drops {
		if a, err := netip.ParseAddr(d.From); err == nil && d.Loss >= now.drops[a].Loss {
			now.drops[a] = d
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cuts = append(t.cuts, now); len(t.cuts) > mostCuts {
		t.cuts = t.cuts[1:]
	}
	return nil
}

// end ends the capture with the packets of now, and tells what it took.
func (t *taking) end() (*Taken, error) {
	if t == nil {
		return nil, errors.New("capture: none was begun")
	}
	t.until.Store(time.Now().UnixNano())
	<-t.ended
	kept, err := t.ring.Close()
	taken := &Taken{Kept: kept}
	if err != nil {
		taken.Failed = err.Error()
	}
	_, stats, err := t.socket.SocketStats()
	if err == nil {
		taken.Missed = int(stats.Drops())
	}
	t.socket.Close()
	return taken, nil
}
