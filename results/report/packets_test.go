package report

import (
	"os"
	"strings"
	"testing"
	"time"

	"coup/cluster/capture"
	"coup/harness"
)

// Every operation of a counterexample leads to its packets, or to why there are none.
func TestPacketsOfACounterexample(t *testing.T) {
	in := smallInput()
	in.Captured.Files = append(in.Captured.Files, capture.File{Node: "n3", Failed: "the disk was full"})
	p := proof{Witness: in.Verdict.Results[0].Counterexample.Witness}
	p.Witness = append(p.Witness, harness.Witness{Node: "n9", Start: 1, End: 2})
	p.addFrames(in.Captured, in.Dir)
	if len(p.Frames) != 4+3 {
		t.Fatalf("%d: %+v", len(p.Frames), p.Frames)
	}
	const first = "frame.time_epoch >= 1773480413.223456789 && frame.time_epoch <= 1773480413.233456789 && ip.addr == 172.17.0.1"
	f := p.Frames[0]
	if f.Of != "write 1" || f.Filter != first || f.Name != "capture/n1.pcapng" || f.Command != `tshark -N nN -r 'runs/it'\''s/capture/n1.pcapng' -Y '`+first+"'" {
		t.Errorf("%+v", f)
	}
	for i, lack := range map[int]string{1: "begins at 0.125 s", 3: "no packets were captured there", 6: "the disk was full"} {
		if f := p.Frames[i]; !strings.Contains(f.Lack, lack) || f.Filter != "" || f.Name != "" {
			t.Errorf("%d: %+v, expected: %s", i, f, lack)
		}
	}
	if f := p.Frames[2]; !strings.Contains(f.Filter, "<= 1773480414.253456789") { // never answered: a second
		t.Errorf("%+v", f)
	}
	if f := p.Frames[4]; f.Of != "" || f.Node != "n1" || strings.Contains(f.Filter, "ip.addr") {
		t.Errorf("%+v", f)
	}
}

func TestPacketsInWords(t *testing.T) {
	part := gatherPackets(smallInput().Captured)
	if len(part.Files) != 2 || part.Files[0].Says != "70 KiB, 500 packets" || part.Files[1].Says != "63.0 MiB, 100,000 packets, from 0.125 s on" {
		t.Errorf("%+v", part.Files)
	}
	if !strings.Contains(part.Bound, "The bound of 64 MiB") || !strings.Contains(part.Bound, "--capture=128") || !strings.Contains(part.Note, "are missing: 1.") {
		t.Errorf("%+v", part)
	}
	set := capture.Set{Files: []capture.File{{Node: "n1"}}, Stepped: time.Second}
	if part := gatherPackets(&set); part.Bound != "" || !strings.Contains(part.Note, "moved by 1s") {
		t.Errorf("%+v", part)
	}
	if part := gatherPackets(nil); part.Files != nil || part.Note != "" {
		t.Errorf("%+v", part)
	}
}

// In a browser the filters are copied by a click.
func TestBrowserCopiesFilters(t *testing.T) {
	b := startBrowser(t)
	b.Size(1280, 900)
	b.open(smallInput(), "")
	shown := b.Eval(`(() => {
		const part = document.querySelector(".frames");
		part.open = true;
		const all = [...part.querySelectorAll("button[data-copy]")];
		all[0].click();
		part.scrollIntoView();
		return all.filter((b) => b.offsetWidth > 0).length;
	})()`)
	if shown != 8.0 {
		t.Errorf("%v buttons", shown)
	}
	b.Wait(`document.querySelector(".frames button[data-copy]").textContent === "Copied"`)
	if path := os.Getenv("COUP_TEST_PICTURE"); path != "" {
		b.Picture(path)
	}
	b.NoTrouble()
}
