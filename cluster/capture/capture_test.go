package capture

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// readPacket is a packet of a file as a library reads it.
type readPacket struct {
	at        time.Time
	iface     int
	direction Direction
	comment   string
	decoded   gopacket.Packet
}

func (p readPacket) tcp(t *testing.T) *layers.TCP {
	t.Helper()
	layer, ok := p.decoded.Layer(layers.LayerTypeTCP).(*layers.TCP)
	if !ok {
		t.Fatalf("no TCP in %v", p.decoded)
	}
	return layer
}

// readFile reads a file, and sees that every checksum is right and that times go on.
func readFile(t *testing.T, path string) (all []readPacket, r *pcapgo.NgReader, stats pcapgo.NgInterfaceStatistics) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	o := pcapgo.DefaultNgReaderOptions
	o.StatisticsCallback = func(_ int, s pcapgo.NgInterfaceStatistics) { stats = s }
	if r, err = pcapgo.NewNgReader(bytes.NewReader(b), o); err != nil {
		t.Fatal(err)
	}
	for {
		data, ci, options, err := r.ReadPacketDataWithOptions()
		if errors.Is(err, io.EOF) {
			return all, r, stats
		}
		if err != nil {
			t.Fatal(err)
		}
		p := readPacket{at: ci.Timestamp, iface: ci.InterfaceIndex, comment: strings.Join(options.Comments, "|"), decoded: gopacket.NewPacket(data, layers.LinkTypeEthernet, gopacket.Default)}
		if options.Flags != nil {
			p.direction = Direction(options.Flags.Direction)
		}
		verify(t, p.decoded)
		if n := len(all); n > 0 && p.at.Before(all[n-1].at) {
			t.Errorf("packet %d is of %v, and that before it of %v", n, p.at, all[n-1].at)
		}
		all = append(all, p)
	}
}

// verify sees that the checksums of a packet are right.
func verify(t *testing.T, p gopacket.Packet) {
	t.Helper()
	if tcp, ok := p.Layer(layers.LayerTypeTCP).(*layers.TCP); ok {
		if err := tcp.SetNetworkLayerForChecksum(p.NetworkLayer()); err != nil {
			t.Fatal(err)
		}
	}
	if err, wrong := p.VerifyChecksums(); err != nil || len(wrong) > 0 {
		t.Errorf("%v: checksums %v, %v", p, wrong, err)
	}
}

var someEpoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// small is a network of two nodes, and a world's time to be set.
type small struct {
	*Network
	dir string
	now time.Duration
}

func newSmall(t *testing.T, bound int64) *small {
	t.Helper()
	s := &small{dir: filepath.Join(t.TempDir(), Dir)}
	var err error
	s.Network, err = NewNetwork(s.dir, bound, []string{"n1", "n2"}, someEpoch, func() time.Duration { return s.now })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// send has a segment leave, and arrive a millisecond later.
func (s *small) send(c *Connection, g *Segment) {
	c.Leaves(g, s.now, "")
	s.now += time.Millisecond
	c.Arrives(g, "")
}

func (s *small) close(t *testing.T) *Set {
	t.Helper()
	set, err := s.Close()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// stream is what one end has sent, put together by sequence numbers.
func stream(t *testing.T, all []readPacket, from layers.TCPPort) string {
	t.Helper()
	var text []byte
	first, known := uint32(0), false
	for _, p := range all {
		s := p.tcp(t)
		if s.SrcPort != from {
			continue
		}
		if s.SYN {
			first, known = s.Seq+1, true
		}
		if !known {
			t.Fatal("a stream without a beginning")
		}
		if at := int(s.Seq - first); at <= len(text) && !s.SYN {
			text = append(text[:at], s.Payload...)
		} else if !s.SYN {
			t.Errorf("after %d bytes follows byte %d", len(text), at)
		}
	}
	return string(text)
}

func TestAConversationIsReadBack(t *testing.T) {
	s := newSmall(t, 1<<20)
	c := s.Connect("", "n2", 8000)
	s.send(c, c.Knock())
	s.send(c, c.Answer())
	s.send(c, c.Data(true, []byte("GET /status HTTP/1.1\r\nHost: n2\r\n\r\n")))
	long := "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("0123456789", 10_000)
	s.send(c, c.Data(false, []byte(long)))
	lost := c.Data(true, []byte("GET /again HTTP/1.1\r\n\r\n"))
	c.Leaves(lost, s.now, "lost: a cut drops 100% from clients to n2")
	s.now += 200 * time.Millisecond
	s.send(c, lost)
	s.send(c, c.End(true))
	s.send(c, c.End(false))
	set := s.close(t)

	if set.Epoch != someEpoch || set.Clients != "10.0.1.1" || len(set.Files) != 3 {
		t.Fatalf("%+v", set)
	}
	for name, packets := range map[string]int{"n1": 0, "n2": 8, Clients: 9} {
		f := set.Of(name)
		if f == nil || f.Packets != packets || f.Name != "capture/"+name+".pcapng" || f.Failed != "" {
			t.Fatalf("%s: %+v", name, f)
		}
		all, r, stats := readFile(t, filepath.Join(filepath.Dir(s.dir), f.Name))
		if info, err := os.Stat(filepath.Join(s.dir, name+".pcapng")); err != nil || info.Size() != f.Size {
			t.Errorf("%s: %v, %+v", name, err, f)
		}
		if len(all) != packets || stats.PacketsReceived != uint64(packets) || stats.PacketsDropped != 0 {
			t.Errorf("%s: %d packets, %+v", name, len(all), stats)
		}
		var names []string
		for i := range r.NNames() {
			record, err := r.Name(i)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, fmt.Sprint(record.Addr.(*pcapgo.NgIPAddress).Addr, record.Names))
		}
		if !slices.Equal(names, []string{"10.0.0.1 [n1]", "10.0.0.2 [n2]", "10.0.1.1 [clients]"}) {
			t.Errorf("names %v", names)
		}
		section := r.SectionInfo()
		if section.Application != "coup" || !strings.Contains(section.Comment, "at 0 is at 1893456000.000000000 here") {
			t.Errorf("section %+v", section)
		}
		if packets == 0 {
			continue
		}
		if i, err := r.Interface(0); err != nil || i.Name != name || !strings.Contains(i.Description, name) || i.TimestampResolution.ToTimestampResolution().Exponent != -9 {
			t.Errorf("interface %+v, %v", i, err)
		}
		if got := stream(t, all, 8000); got != long {
			t.Errorf("%s: the answer has %d bytes", name, len(got))
		}
		if got := stream(t, all, firstPort); got != "GET /status HTTP/1.1\r\nHost: n2\r\n\r\nGET /again HTTP/1.1\r\n\r\n" {
			t.Errorf("%s: asked %q", name, got)
		}
	}
	all, _, _ := readFile(t, filepath.Join(s.dir, Clients+".pcapng"))
	if f := set.Of(Clients); f.From != 0 || f.To != 207*time.Millisecond || all[0].at.Sub(someEpoch) != 0 || all[8].at.Sub(someEpoch) != f.To {
		t.Errorf("%+v: the first packet is of %v, and the last of %v", f, all[0].at, all[8].at)
	}
	var flags, comments []string
	for _, p := range all {
		x := p.tcp(t)
		flags = append(flags, fmt.Sprintf("%v%v%v%v%v/%d", bit(x.SYN, "S"), bit(x.ACK, "A"), bit(x.PSH, "P"), bit(x.FIN, "F"), bit(x.RST, "R"), p.direction))
		if p.comment != "" {
			comments = append(comments, p.comment)
		}
	}
	// The long answer takes two frames.
	if got := strings.Join(flags, " "); got != "S/2 SA/1 AP/2 AP/1 AP/1 AP/2 AP/2 AF/2 AF/1" {
		t.Errorf("flags %s", got)
	}
	if !slices.Equal(comments, []string{"lost: a cut drops 100% from clients to n2"}) {
		t.Errorf("comments %q", comments)
	}
	if last := all[len(all)-1].tcp(t); last.Ack-all[0].tcp(t).Seq != 1+57+1 {
		t.Errorf("the last one acknowledges %d", last.Ack-all[0].tcp(t).Seq)
	}
}

func bit(is bool, name string) string {
	if is {
		return name
	}
	return ""
}

// A connection that is refused, and one to nobody.
func TestRefusals(t *testing.T) {
	s := newSmall(t, 1<<20)
	c := s.Connect("n1", "n2", 7000)
	s.send(c, c.Knock())
	s.send(c, c.Reset(false))
	none := s.Connect("n1", "n9", 7000)
	s.send(none, none.Knock())
	none.Leaves(none.Data(true, nil), 0, "")
	none.Arrives(none.End(false), "")
	s.close(t)
	all, _, _ := readFile(t, filepath.Join(s.dir, "n1.pcapng"))
	if len(all) != 2 || !all[1].tcp(t).RST || !all[1].tcp(t).ACK || all[1].tcp(t).Ack != all[0].tcp(t).Seq+1 {
		t.Errorf("%v", all)
	}
}

// A program may be ahead of the world: what it has sent stands where its time belongs.
func TestPacketsAreInTheOrderOfTime(t *testing.T) {
	s := newSmall(t, 1<<20)
	c := s.Connect("n1", "n2", 7000)
	s.send(c, c.Knock())
	s.send(c, c.Answer())
	ahead := c.Data(true, []byte("late"))
	other := c.Data(false, []byte("early"))
	c.Leaves(ahead, s.now+50*time.Microsecond, "")
	c.Leaves(other, s.now, "")
	s.now += 20 * time.Microsecond
	c.Arrives(other, "")
	s.now += time.Millisecond
	c.Arrives(ahead, "")
	s.close(t)
	all, _, _ := readFile(t, filepath.Join(s.dir, "n1.pcapng"))
	if len(all) != 4 || string(all[2].tcp(t).Payload) != "early" || string(all[3].tcp(t).Payload) != "late" {
		t.Errorf("%v", all)
	}
}

func TestARingForgetsTheOldest(t *testing.T) {
	const bound = 64 << 10
	s := newSmall(t, bound)
	c := s.Connect("n1", "n2", 7000)
	s.send(c, c.Knock())
	s.send(c, c.Answer())
	const sent = 1000
	for i := range sent {
		s.send(c, c.Data(true, []byte(fmt.Sprintf("message %04d %s", i, strings.Repeat("x", 200)))))
	}
	set := s.close(t)
	f := set.Of("n2")
	all, _, stats := readFile(t, filepath.Join(s.dir, "n2.pcapng"))
	if f.Packets+f.Forgotten != sent+2 || f.Packets != len(all) || stats.PacketsReceived != sent+2 || f.Size > bound+2048 || f.Size < bound*3/4 {
		t.Errorf("%+v, and %d packets in the file", f, len(all))
	}
	if f.From == 0 || someEpoch.Add(f.From) != all[0].at || f.To != s.now {
		t.Errorf("%+v begins with a packet of %v", f, all[0].at)
	}
	if last := string(all[len(all)-1].tcp(t).Payload); !strings.HasPrefix(last, "message 0999") {
		t.Errorf("the last one is %q", last)
	}
	if left, err := os.ReadDir(s.dir); err != nil || len(left) != 3 {
		t.Errorf("in the folder are %v, %v", left, err)
	}
}

// One packet is kept even where the bound is smaller than it.
func TestABoundThatIsTooSmall(t *testing.T) {
	r := NewRing(t.TempDir(), 10)
	for i := range 20 {
		if err := r.Add(Packet{Time: int64(i), Data: make([]byte, 100)}); err != nil {
			t.Fatal(err)
		}
	}
	if k, err := r.Close(); err != nil || k.Packets != segments || k.Forgotten != 20-segments || k.First != 20-segments || k.Last != 19 {
		t.Errorf("%+v, %v", k, err)
	}
	if k, err := NewRing(t.TempDir(), 10).Close(); err != nil || k.Packets != 0 || len(k.Segments) != 0 {
		t.Errorf("of nothing: %+v, %v", k, err)
	}
}

// What can't be written is told, and ends nothing else.
func TestAFolderThatIsGone(t *testing.T) {
	s := newSmall(t, 1<<20)
	os.RemoveAll(s.dir)
	c := s.Connect("n1", "n2", 7000)
	s.send(c, c.Knock())
	s.send(c, c.Answer())
	if _, err := s.Close(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestTheFilterOfAMoment(t *testing.T) {
	s := Set{Epoch: someEpoch.Add(123456789)}
	want := "frame.time_epoch >= 1893456001.623456789 && frame.time_epoch <= 1893456002.123456790 && ip.addr == 10.0.0.1"
	if got := s.Filter(1500*time.Millisecond, 2*time.Second+1, "10.0.0.1"); got != want {
		t.Errorf("%s", got)
	}
	if got := s.Filter(0, 0, ""); strings.Contains(got, "ip.addr") {
		t.Errorf("%s", got)
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), uint32(7), uint16(8000), true)
	f.Add([]byte{1}, ^uint32(0), uint16(0), false)
	f.Fuzz(func(t *testing.T, data []byte, seq uint32, port uint16, first bool) {
		data = data[:min(len(data), mostData-8)]
		a, b := hostAt(Named("10.0.0.1", "")[0].Address), hostAt(Named("10.0.1.255", "")[0].Address)
		frame := appendFrame([]byte("before"), a, b, tcp{from: port, to: 1, seq: seq, flags: flagACK, first: first}, data)[len("before"):]
		p := gopacket.NewPacket(frame, layers.LinkTypeEthernet, gopacket.Default)
		verify(t, p)
		layer, ok := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
		if !ok || layer.Seq != seq || layer.SrcPort != layers.TCPPort(port) || !bytes.Equal(layer.Payload, data) {
			t.Errorf("%v became %v", data, p)
		}
	})
}
