package runner

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"coup/cluster/capture"
	"coup/cluster/systems/raft"
	"coup/harness"
	"coup/judge"
	"coup/plan"
	"coup/results"
)

// faulty is a short run of which the packets are captured, unless bound is 0.
func faulty(t *testing.T, bound int) (dir string, stored plan.Stored) {
	t.Helper()
	dir, _ = runSimulated(t, raft.System{}, func(p *plan.Plan) {
		p.Nemesis, p.Time, p.Capture = []string{"partition:leader", "crash:leader", "bandwidth:halves", "reset:halves"}, plan.Duration(12*time.Second), bound
	})
	if err := results.ReadJSON(dir, results.PlanFile, &stored); err != nil {
		t.Fatal(err)
	}
	return dir, stored
}

// A capture changes nothing of a simulated run, and is the same to the byte for the same seed.
func TestACaptureOnlyWatches(t *testing.T) {
	plain, without := faulty(t, 0)
	one, with := faulty(t, 4)
	two, _ := faulty(t, 4)
	if without.Captured != nil || with.Captured == nil || len(with.Captured.Files) != 4 {
		t.Fatalf("captured %+v and %+v", without.Captured, with.Captured)
	}
	if without.Machines == "" || without.Machines != with.Machines {
		t.Error("the machines hold something else in the end")
	}
	same := func(a, b, name string) {
		t.Helper()
		x, err := os.ReadFile(filepath.Join(a, name))
		if err != nil {
			t.Fatal(err)
		}
		y, err := os.ReadFile(filepath.Join(b, name))
		if err != nil {
			t.Fatal(err)
		}
		if len(x) == 0 || !bytes.Equal(x, y) {
			t.Errorf("%s differs", name)
		}
	}
	same(plain, one, results.HistoryFile)
	same(plain, one, results.EventsFile)
	for _, f := range with.Captured.Files {
		same(one, two, f.Name)
		if f.Packets == 0 || f.Size == 0 || f.Failed != "" {
			t.Errorf("%+v", f)
		}
	}
}

// tshark runs it, and returns its lines.
func tshark(t *testing.T, args ...string) []string {
	t.Helper()
	path, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("there is no tshark here (Debian's package of that name)")
	}
	cmd := exec.Command(path, append([]string{"-n", "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "--disable-protocol", "gryphon"}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark %v: %v", args, err)
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' })
}

// What Wireshark makes of a simulated run: whole streams, HTTP, right checksums, what was lost;
// and an operation of the history is found by its time.
func TestWiresharkReadsASimulatedRun(t *testing.T) {
	dir, stored := faulty(t, 4)
	set := stored.Captured
	_, h, _, err := judge.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	clients := filepath.Join(dir, filepath.FromSlash(set.Of(capture.Clients).Name))
	checked := 0
	for _, o := range h.Operations {
		if o.Type != harness.OK || checked == 3 {
			continue
		}
		checked++
		found := tshark(t, "-r", clients, "-T", "fields", "-e", "http.request.uri", "-e", "http.response.code",
			"-Y", "http && "+set.Filter(o.Start, o.End, ""))
		if text := strings.Join(found, "\n"); !strings.Contains(text, "/register/"+o.F) || !strings.Contains(text, "200") {
			t.Errorf("of %s at %v there is only %q", o.F, o.Start, text)
		}
	}
	if checked == 0 {
		t.Fatal("no operation succeeded")
	}
	lost := 0
	for _, f := range set.Files {
		name := filepath.Join(dir, filepath.FromSlash(f.Name))
		all := tshark(t, "-r", name, "-T", "fields", "-E", "separator=|", "-e", "frame.number", "-e", "_ws.malformed", "-e", "ip.checksum.status",
			"-e", "tcp.checksum.status", "-e", "tcp.analysis.lost_segment", "-e", "tcp.analysis.ack_lost_segment", "-e", "frame.comment")
		if len(all) != f.Packets {
			t.Errorf("%s: %d packets, not %d", f.Name, len(all), f.Packets)
		}
		for _, line := range all {
			// Nothing is wrong with a packet, both checksums are right, and no stream has a hole.
			_, says, _ := strings.Cut(line, "|")
			if comment, ok := strings.CutPrefix(says, "|1|1|||"); !ok {
				t.Errorf("%s: %s", f.Name, line)
			} else if strings.HasPrefix(comment, "lost: a cut drops 100% from") {
				lost++
			}
		}
	}
	if lost == 0 {
		t.Error("no packet was told to be lost")
	}
	if names := tshark(t, "-r", clients, "-q", "-z", "hosts"); !strings.Contains(strings.Join(names, "\n"), "10.0.0.2\tn2") {
		t.Errorf("names %q", names)
	}
}

// tcpPackets is what a capture says of each packet from one address to another.
func tcpPackets(t *testing.T, path, from, to string) (comments []string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := pcapgo.NewNgReader(bytes.NewReader(b), pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	for {
		data, _, options, err := r.ReadPacketDataWithOptions()
		if errors.Is(err, io.EOF) {
			return comments
		}
		if err != nil {
			t.Fatal(err)
		}
		flow := gopacket.NewPacket(data, layers.LinkTypeEthernet, gopacket.Default).NetworkLayer().NetworkFlow()
		if flow.Src().String() == from && flow.Dst().String() == to {
			comments = append(comments, strings.Join(options.Comments, "|"))
		}
	}
}

// Each packet that a cut between clients and a node drops says so: what says nothing has arrived, or
// was on its way when the run ended.
func TestWhatACutOfClientsDrops(t *testing.T) {
	dir, _ := runSimulated(t, raft.System{}, func(p *plan.Plan) {
		p.Nemesis, p.Capture = []string{"isolate-clients:leader"}, 4
	})
	lost := 0
	for node, addr := range map[string]string{"n1": "10.0.0.1", "n2": "10.0.0.2", "n3": "10.0.0.3"} {
		arrived := len(tcpPackets(t, filepath.Join(dir, "capture", node+".pcapng"), "10.0.1.1", addr))
		plain := 0
		for _, comment := range tcpPackets(t, filepath.Join(dir, "capture", capture.Clients+".pcapng"), "10.0.1.1", addr) {
			switch comment {
			case "":
				plain++
			case "lost: a cut drops 100% from clients to " + node:
				lost++
			default:
				t.Errorf("%s: %q", node, comment)
			}
		}
		if plain < arrived || plain > arrived+2 || arrived == 0 {
			t.Errorf("%s: %d packets of clients say nothing, and %d arrived", node, plain, arrived)
		}
	}
	if lost == 0 {
		t.Error("no packet was lost")
	}
}
