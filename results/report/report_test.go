package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"coup/cluster/capture"
	"coup/harness"
)

var update = flag.Bool("update", false, "rewrite the golden file")

func write(t testing.TB, in Input) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, in); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// elements are the start tags of a page and the text right behind each.
func elements(t *testing.T, page []byte, f func(tag html.Token, text string)) {
	t.Helper()
	z := html.NewTokenizer(bytes.NewReader(page))
	var last html.Token
	for {
		switch z.Next() {
		case html.ErrorToken:
			return
		case html.StartTagToken, html.SelfClosingTagToken:
			if last.Data != "" {
				f(last, "")
			}
			last = z.Token()
		case html.TextToken:
			if last.Data != "" {
				f(last, string(z.Raw()))
				last = html.Token{}
			}
		}
	}
}

func attribute(tag html.Token, name string) string {
	for _, a := range tag.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// smallInput is a run in which everything happens once.
func smallInput() Input {
	at := func(ms int) time.Duration { return time.Duration(ms) * time.Millisecond }
	return Input{
		Captured: &capture.Set{
			Epoch: time.Date(2026, 3, 14, 9, 26, 53, 123456789, time.UTC), Clients: "172.17.0.1", Bound: 64, Files: []capture.File{
				{Node: "n1", Name: "capture/n1.pcapng", Address: "172.17.0.2", Size: 70 << 10, Packets: 500, From: at(1), To: at(1000)},
				{Node: "n2", Name: "capture/n2.pcapng", Address: "172.17.0.3", Size: 63 << 20, Packets: 100_000, Forgotten: 9000, Missed: 1, From: at(125), To: at(990)},
			},
		},
		Dir:   "runs/it's",
		Title: "raft register", Command: "coup run --seed 1", Plan: []Field{{"system", "raft"}},
		Started: time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC), Nodes: []string{"n1", "n2"},
		Verdict: Verdict{Valid: harness.Invalid, Results: []harness.Result{
			{Checker: "linearizable", Valid: harness.Invalid, Summary: "A read of x was stale.", Counterexample: &harness.Counterexample{
				Key: "x", Story: []string{"Process 1 wrote 1.", "Process 2 read nothing."},
				Witness: []harness.Witness{
					{Process: 1, F: "write", Key: "x", Type: harness.OK, Text: "write 1", Start: int64(at(100)), End: int64(at(110)), Node: "n1"},
					{Process: 2, F: "read", Key: "x", Type: harness.OK, Text: "read -> nothing", Start: int64(at(120)), End: int64(at(121)), Node: "n2"},
					{Process: 3, F: "write", Key: "x", Type: harness.Info, Text: "write 2", Start: int64(at(130)), End: -1, Node: "n1"},
				},
			}},
			{Checker: "failovers", Valid: harness.Valid, Summary: "The leader changed once.", Details: map[string]any{"failovers": []map[string]any{{
				"cause": "fault", "fault_id": 1, "fault": "kill", "target": "leader", "old": "n1", "old_term": 2, "new": "n2", "term": 3,
				"at": at(200), "held": at(5), "detected": at(150), "elected": at(170), "served": at(190),
			}}}},
			{Checker: "availability", Valid: harness.Valid, Summary: "The longest time without a success was 0.190 s.", Details: map[string]any{
				"start": 0, "end": at(1000), "longest_gap": map[string]any{"from": at(200), "to": at(390)},
				"faults": []map[string]any{{"id": 1, "ok": 1, "fail": 1, "info": 0, "longest_gap": map[string]any{"from": at(200), "to": at(390)}}},
			}},
		}},
		Events: []harness.Event{
			{Time: 0, Kind: harness.PhaseEvent, Message: "load"},
			{Time: at(10), Kind: harness.RoleEvent, Node: "n1", Role: "leader", Term: 2},
			{Time: at(11), Kind: harness.LeaderEvent, Node: "n2", Leader: "n1", Term: 2},
			{Time: at(200), Kind: harness.FaultStart, ID: 1, Fault: "kill", Target: "leader", Nodes: []string{"n1"}},
			{Time: at(205), Kind: harness.FaultHold, ID: 1, Fault: "kill", Target: "leader", Nodes: []string{"n1"}, Message: "the process is gone"},
			{Time: at(350), Kind: harness.ElectionEvent, Node: "n2", Term: 3},
			{Time: at(370), Kind: harness.RoleEvent, Node: "n2", Role: "leader", Term: 3},
			{Time: at(600), Kind: harness.FaultEnd, ID: 1, Fault: "kill", Target: "leader", Nodes: []string{"n1"}},
			{Time: at(610), Kind: harness.BootEvent, Node: "n1"},
			{Time: at(1000), Kind: harness.PhaseEvent, Message: "done"},
		},
		Operations: []harness.Operation{
			{Process: 1, F: "write", Key: "x", Input: int64(1), Type: harness.OK, Start: at(100), End: at(110), Node: "n1", Call: 1, Return: 2},
			{Process: 2, F: "read", Key: "x", Output: json.RawMessage("null"), Type: harness.OK, Start: at(120), End: at(121), Node: "n2", Call: 3, Return: 4},
			{Process: 3, F: "write", Key: "x", Input: int64(2), Type: harness.Info, Start: at(130), End: at(1000), Node: "n1", Call: 5, Return: harness.Open, Error: "timeout"},
			{Process: 1, F: "read", Key: "x", Type: harness.Fail, Start: at(250), End: at(260), Node: "n1", Call: 6, Return: 7, Error: "not the leader"},
			{Process: 1, F: "read", Key: "x", Output: int64(2), Type: harness.OK, Start: at(380), End: at(390), Node: "n2", Call: 8, Return: 9},
		},
	}
}

// The golden file is the page without scripts, styles and the packed operations.
func TestGolden(t *testing.T) {
	page := string(write(t, smallInput()))
	page = regexp.MustCompile(`(?s)<style>.*?</style>`).ReplaceAllString(page, "<style></style>")
	page = regexp.MustCompile(`(?s)<script>.*?</script>`).ReplaceAllString(page, "<script></script>")
	page = regexp.MustCompile(`(?s)(id="columns">)[^<]*`).ReplaceAllString(page, "$1")
	page = regexp.MustCompile(`&#39;sha256-.*?&#39;`).ReplaceAllString(page, "HASH")
	const path = "testdata/small.golden.html"
	if *update {
		if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if page != string(want) {
		got, expected := strings.Split(page, "\n"), strings.Split(string(want), "\n")
		for i := range min(len(got), len(expected)) {
			if got[i] != expected[i] {
				t.Fatalf("line %d is\n%s\nwant\n%s\n(go test ./results/report -run Golden -update)", i+1, got[i], expected[i])
			}
		}
		t.Fatalf("the page has %d lines, want %d", len(got), len(expected))
	}
}

func TestSaysTheVerdict(t *testing.T) {
	for _, c := range []struct {
		name    string
		in      Input
		title   string
		say     []string
		dontSay []string
	}{
		{"invalid", smallInput(), "Invalid: raft register", []string{"The system broke its promise", "linearizable: A read of x was stale.", "Process 2 read nothing."}, []string{"kept its promise"}},
		{"valid", Input{Title: "calm", Verdict: Verdict{Valid: harness.Valid}}, "Valid: calm", []string{"The system kept its promise", "No fault was applied", "No operation was recorded"}, []string{"broke", "Unknown"}},
		{
			"unknown", Input{Title: "odd", Verdict: Verdict{Valid: harness.Unknown, Reasons: []string{"Fault 3 did not bite."}, Results: []harness.Result{{Checker: "linearizable", Valid: harness.Unknown, Summary: "Out of time."}}}},
			"Unknown: odd", []string{"could not be decided", "Fault 3 did not bite.", "linearizable: Out of time."}, []string{"broke its promise", "The system kept its promise"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			page := write(t, c.in)
			title := ""
			elements(t, page, func(tag html.Token, text string) {
				if tag.Data == "title" && title == "" {
					title = text
				}
			})
			if title != c.title {
				t.Errorf("title is %q, want %q", title, c.title)
			}
			for _, s := range c.say {
				if !bytes.Contains(page, []byte(s)) {
					t.Errorf("the page does not say %q", s)
				}
			}
			for _, s := range c.dontSay {
				if bytes.Contains(page, []byte(s)) {
					t.Errorf("the page says %q", s)
				}
			}
		})
	}
}

func TestAsksNobody(t *testing.T) {
	for name, in := range map[string]Input{"small": smallInput(), "hostile": hostileInput()} {
		page := write(t, in)
		policy := ""
		var scripts, styles []string
		elements(t, page, func(tag html.Token, text string) {
			for _, a := range tag.Attr {
				switch a.Key {
				case "src", "srcset", "data", "action", "poster", "background", "xlink:href", "style":
					t.Errorf("%s: <%s> has the attribute %s=%q", name, tag.Data, a.Key, a.Val)
				case "href":
					icon := tag.Data == "link" && attribute(tag, "rel") == "icon" && strings.HasPrefix(a.Val, "data:image/svg+xml,")
					packets := tag.Data == "a" && ownFile.MatchString(a.Val) // in the run directory
					if !strings.HasPrefix(a.Val, "#") && !icon && !packets {
						t.Errorf("%s: <%s> leads to %q", name, tag.Data, a.Val)
					}
				}
				if strings.HasPrefix(a.Key, "on") {
					t.Errorf("%s: <%s> has the handler %s", name, tag.Data, a.Key)
				}
			}
			switch {
			case tag.Data == "meta" && strings.EqualFold(attribute(tag, "http-equiv"), "Content-Security-Policy"):
				policy = attribute(tag, "content")
			case tag.Data == "script" && attribute(tag, "type") == "":
				scripts = append(scripts, text)
			case tag.Data == "style":
				styles = append(styles, text)
			case tag.Data == "iframe" || tag.Data == "img" || tag.Data == "object" || tag.Data == "base":
				t.Errorf("%s: there is a <%s>", name, tag.Data)
			}
		})
		if !strings.HasPrefix(policy, "default-src 'none'; script-src 'sha256-") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: the content security policy is %q", name, policy)
		}
		if len(scripts) != 2 || len(styles) != 1 {
			t.Fatalf("%s: %d scripts and %d styles, want 2 and 1", name, len(scripts), len(styles))
		}
		for _, text := range append(scripts, styles...) {
			sum := sha256.Sum256([]byte(text))
			if source := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policy, source) {
				t.Errorf("%s: the policy forbids the page's own %.40q", name, text)
			}
		}
		for _, bad := range []string{"url(", "@import"} {
			if strings.Contains(styles[0], bad) {
				t.Errorf("%s: the style has %q", name, bad)
			}
		}
	}
}

func TestHostileValuesAreText(t *testing.T) {
	page := write(t, hostileInput())
	elements(t, page, func(tag html.Token, text string) {
		switch tag.Data {
		case "img":
			t.Error("a value became an element")
		case "script":
			if attribute(tag, "id") == "data" {
				var data map[string]any
				if err := json.Unmarshal([]byte(text), &data); err != nil {
					t.Errorf("the data is broken: %v", err)
				}
			}
		}
	})
	if n := bytes.Count(page, []byte("</script>")); n != 5 {
		t.Errorf("there are %d ends of scripts, want 5", n)
	}
	if bytes.Contains(page, []byte("<img")) || bytes.Contains(page, []byte("<!--")) {
		t.Error("a value is in the page as markup")
	}
	if !bytes.Contains(page, []byte("evil.example")) {
		t.Error("the fixture's values are not in the page at all")
	}
}

func TestDetailsReadBack(t *testing.T) {
	in := samples["valid"].input()
	live := write(t, in)
	for i := range in.Verdict.Results {
		b, err := json.Marshal(in.Verdict.Results[i])
		if err != nil {
			t.Fatal(err)
		}
		var r harness.Result
		if err := json.Unmarshal(b, &r); err != nil {
			t.Fatal(err)
		}
		in.Verdict.Results[i] = r
	}
	// Only the order of the fields in the pretty details may differ.
	pretty := regexp.MustCompile(`(?s)<pre>.*?</pre>`)
	if a, b := pretty.ReplaceAll(live, nil), pretty.ReplaceAll(write(t, in), nil); !bytes.Equal(a, b) {
		t.Error("the report of a verdict that was read back differs from the live one")
	}
	if n := bytes.Count(live, []byte(`class="phases"`)); n < 3 {
		t.Errorf("%d failovers are in the report", n)
	}
	if !bytes.Contains(live, []byte("Longest time without success")) {
		t.Error("the availability's figures are not in the report")
	}
}

// A report must stay small enough to be mailed around.
func TestSizeOf100k(t *testing.T) {
	in := samples["invalid100k"].input()
	if n := len(in.Operations); n < 100_000 {
		t.Fatalf("the fixture has %d operations", n)
	}
	if n := len(write(t, in)); n > 2_000_000 {
		t.Errorf("the report of 100,000 operations has %d bytes, want at most 2,000,000", n)
	}
}

func BenchmarkReport100k(b *testing.B) {
	in := samples["invalid100k"].input()
	bytes := 0
	for b.Loop() {
		bytes = len(write(b, in))
	}
	b.ReportMetric(float64(bytes), "bytes/report")
}
