package docker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"coup/cluster"
	"coup/cluster/capture"
	"coup/cluster/docker"
	"coup/cluster/systems/raft"
)

// What a client asks and what a cut drops is in the files, at the times of this machine's
// clock.
func TestCapture(t *testing.T) {
	t.Parallel()
	dir, epoch := filepath.Join(t.TempDir(), capture.Dir), time.Now().Round(0)
	c, _ := upWith(t, 2, raft.System{}, func(cfg *docker.Config) {
		cfg.Capture = &docker.Capture{Dir: dir, Bound: 8 << 20, Epoch: epoch}
	})
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	before := time.Since(epoch)
	for {
		if _, err := (raft.System{}).Status(ctx, c, "n1"); err == nil {
			break
		}
		if ctx.Err() != nil {
			t.Fatal(ctx.Err())
		}
		time.Sleep(20 * time.Millisecond)
	}
	after := time.Since(epoch)
	if err := c.SetCuts(ctx, []cluster.Cut{{From: "n1", To: "n2", Loss: 1}}); err != nil {
		t.Fatal(err)
	}
	cut := time.Since(epoch)
	if share, err := c.Probe(ctx, "n1", "n2"); err != nil || share != 0 {
		t.Fatalf("of the probes %v arrived, %v", share, err)
	}
	healing := time.Since(epoch)
	if err := c.SetCuts(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if share, err := c.Probe(ctx, "n1", "n2"); err != nil || share != 1 {
		t.Fatalf("of the probes %v arrived, %v", share, err)
	}
	set, err := c.Captured(ctx)
	if err != nil || len(set.Files) != 2 || set.Epoch != epoch || set.Clients == "" || set.Bound != 8 {
		t.Fatalf("%+v, %v", set, err)
	}
	asked, dropped := 0, 0
	for _, node := range []string{"n1", "n2"} {
		f := set.Of(node)
		if f == nil || f.Failed != "" || f.Packets == 0 || f.Forgotten != 0 || f.From < 0 || f.To > time.Since(epoch) {
			t.Fatalf("%s: %+v", node, f)
		}
		b, err := os.ReadFile(filepath.Join(filepath.Dir(dir), filepath.FromSlash(f.Name)))
		if err != nil || int64(len(b)) != f.Size {
			t.Fatalf("%+v has %d bytes, %v", f, len(b), err)
		}
		r, err := pcapgo.NewNgReader(bytes.NewReader(b), pcapgo.DefaultNgReaderOptions)
		if err != nil {
			t.Fatal(err)
		}
		packets := 0
		for ; ; packets++ {
			data, info, options, err := r.ReadPacketDataWithOptions()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			p := gopacket.NewPacket(data, layers.LinkTypeEthernet, gopacket.Lazy)
			ip, isIP := p.NetworkLayer().(*layers.IPv4)
			at, says := info.Timestamp.Sub(epoch), strings.Join(options.Comments, "")
			if says != "" {
				dropped++
				if node != "n2" || says != "dropped here: a cut drops 100% from n1" || !isIP || ip.SrcIP.String() != set.Of("n1").Address || at < cut-time.Second || at > healing+time.Second {
					t.Errorf("%s has %q at %v on %v", node, says, at, p)
				}
			}
			if udp, ok := p.TransportLayer().(*layers.UDP); ok && node == "n2" && isIP && len(udp.Payload) == 8 && at > cut && at < healing && says == "" {
				t.Errorf("a probe that was dropped has no comment: %v", p)
			}
			if app := p.ApplicationLayer(); app != nil && isIP && ip.SrcIP.String() == set.Clients && bytes.HasPrefix(app.Payload(), []byte("GET /status")) {
				asked++
				if node != "n1" || at < before || at > after {
					t.Errorf("%s was asked at %v, not between %v and %v", node, at, before, after)
				}
			}
		}
		if packets != f.Packets || r.NInterfaces() != 2 {
			t.Errorf("%s: %d packets, %d interfaces", node, packets, r.NInterfaces())
		}
		names := map[string]string{}
		for i := range r.NNames() {
			if record, err := r.Name(i); err == nil {
				names[fmt.Sprint(record.Addr.(*pcapgo.NgIPAddress).Addr)] = record.Names[0]
			}
		}
		if names[set.Clients] != capture.Clients || names[set.Of("n1").Address] != "n1" || names[set.Of("n2").Address] != "n2" {
			t.Errorf("names %v", names)
		}
	}
	if asked == 0 || dropped < 50 {
		t.Errorf("%d requests, %d packets that a cut dropped", asked, dropped)
	}
	if _, err := c.Captured(ctx); err != nil { // there is no second one, and no harm
		t.Errorf("once more: %v", err)
	}
}
