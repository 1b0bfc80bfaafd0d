package report

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coup/internal/testbrowser"
)

// browser shows reports.
type browser struct {
	*testbrowser.Browser
	t *testing.T
}

func startBrowser(t *testing.T) *browser {
	t.Helper()
	return &browser{testbrowser.Start(t), t}
}

// open writes in as a report, opens it and waits until its operations are listed.
func (b *browser) open(in Input, query string) {
	b.t.Helper()
	var page bytes.Buffer
	if err := Write(&page, in); err != nil {
		b.t.Fatal(err)
	}
	path := filepath.Join(b.t.TempDir(), "report.html")
	if err := os.WriteFile(path, page.Bytes(), 0o644); err != nil {
		b.t.Fatal(err)
	}
	b.Open("file://" + path + query)
	if len(in.Operations) > 0 {
		b.Wait(`!document.getElementById("list").hidden`)
	}
}

func TestBrowserReads(t *testing.T) {
	b := startBrowser(t)
	b.Size(1280, 900)
	for name, m := range samples {
		if name == "invalid100k" && testing.Short() {
			continue
		}
		b.open(m.input(), "")
		if got := b.Eval(`document.querySelectorAll("#plots canvas").length`); got != 4.0 {
			t.Errorf("%s: %v plots, want 4", name, got)
		}
		b.NoTrouble()
	}
	long := samples["short"].input()
	long.MaxOperations = 50
	b.open(long, "?from=0.5&to=1")
	if said := b.Eval(`document.querySelector("#operations .hint").textContent`).(string); !strings.Contains(said, "of 200 are listed") {
		t.Errorf("a run too long to list is listed with the words %q", said)
	}
	b.NoTrouble()
	b.open(Input{}, "")
	b.NoTrouble()
}

func TestBrowserRunsNothingHostile(t *testing.T) {
	b := startBrowser(t)
	for _, query := range []string{"", "?theme=dark&from=0&to=1"} {
		b.open(hostileInput(), query)
		b.Eval(`document.querySelector(".witness .op").dispatchEvent(new MouseEvent("click"))`)
		b.Wait(`!document.getElementById("trace-view").hidden`)
		b.Eval(`for (const box of document.querySelectorAll("#trace-toggles input")) box.click()`)
		if got := b.Eval(`document.querySelector("#trace-list").textContent.includes("evil.example")`); got != true {
			t.Error("the hostile message is not shown as text")
		}
		b.Eval(`for (const e of document.querySelectorAll("#trace-list tr, #trace-lanes .message, #trace-ops button")) e.dispatchEvent(new MouseEvent("click", { bubbles: true }))`)
		if got := b.Eval(`document.querySelectorAll("img").length`); got != 0.0 {
			t.Errorf("%v images came from the run's values", got)
		}
		if got := b.Eval(`document.querySelector("#selected").textContent.includes("evil.example")`); got != true {
			t.Error("the hostile value is not shown as text")
		}
		b.NoTrouble()
	}
}

func TestBrowserFindsOperations(t *testing.T) {
	b := startBrowser(t)
	b.Size(1280, 900)
	in := samples["invalid"].input()
	b.open(in, "")
	listed := func() float64 {
		b.Eval(`new Promise((done) => setTimeout(done, 200))`)
		return b.Eval(`Number(document.getElementById("op-count").textContent.split(" of ")[0].replace(/,/g, ""))`).(float64)
	}
	if got := listed(); int(got) != len(in.Operations) {
		t.Fatalf("%v operations are listed, want %d", got, len(in.Operations))
	}
	if got := b.Eval(`document.querySelectorAll("#list .row").length`).(float64); got < 10 || got > 60 {
		t.Errorf("%v rows are in the page, want those in view", got)
	}

	set := func(id, value string) {
		b.Eval(fmt.Sprintf(`{ const e = document.getElementById(%q); e.value = %q; e.dispatchEvent(new Event("input", { bubbles: true })); e.dispatchEvent(new Event("change")); }`, id, value))
	}
	want := func(what string, test func(i int) bool) {
		t.Helper()
		n := 0
		for i := range in.Operations {
			if test(i) {
				n++
			}
		}
		if n == 0 || n == len(in.Operations) {
			t.Fatalf("%s: the fixture shows nothing: %d", what, n)
		}
		var got float64
		if !testbrowser.Soon(func() bool { got = listed(); return int(got) == n }) {
			t.Errorf("%s: %v operations, want %d", what, got, n)
		}
	}
	set("filter-key", "b")
	want("key", func(i int) bool { return in.Operations[i].Key == "b" })
	set("filter-process", "3")
	want("key and process", func(i int) bool { return in.Operations[i].Key == "b" && in.Operations[i].Process == 3 })
	set("filter-key", "")
	set("filter-process", "")
	set("filter-type", "3")
	want("info", func(i int) bool { return typeName(in.Operations[i].Type) == "info" })
	set("filter-type", "")
	set("filter-text", "NOT THE LEADER")
	want("text", func(i int) bool { return strings.Contains(in.Operations[i].Error, "not the leader") })
	set("filter-text", "")
	set("filter-from", "10")
	set("filter-to", "12")
	want("time", func(i int) bool {
		op := &in.Operations[i]
		return op.Start <= 12*time.Second && op.End >= 10*time.Second
	})
	if b.Eval(`document.getElementById("zoomed").hidden`) != false {
		t.Error("nothing at the top says that a part of the run is shown")
	}
	b.Eval(`document.getElementById("zoomed-reset").click()`)

	// An operation of the counterexample leads to its place in the list.
	w := in.Verdict.Results[0].Counterexample.Witness[4]
	b.Eval(`document.querySelectorAll(".witness .op")[4].dispatchEvent(new MouseEvent("click"))`)
	want("counterexample", func(i int) bool { return in.Operations[i].Key == w.Key })
	picked := b.Eval(`document.querySelector("#list .row[aria-selected=true]").textContent`).(string)
	if !strings.Contains(picked, clock(time.Duration(w.Start))) || !strings.Contains(picked, fmt.Sprint(w.Process)) {
		t.Errorf("the row picked is %q, want that of %+v", picked, w)
	}

	// The slowest come first when asked for.
	b.Eval(`document.querySelectorAll("#list .head button")[1].click()`)
	slowest := in.Operations[0]
	for _, op := range in.Operations {
		if op.Key == w.Key && op.End-op.Start > slowest.End-slowest.Start {
			slowest = op
		}
	}
	if top := b.Eval(`document.querySelector("#list").scrollTop = 0, document.querySelector("#list .row").textContent`).(string); !strings.Contains(top, clock(slowest.Start)) {
		t.Errorf("the slowest is %q, want the one of %s", top, clock(slowest.Start))
	}
	b.Eval(`document.querySelectorAll("#list .head button")[0].click()`)

	// The keyboard walks through the list.
	b.Eval(`document.getElementById("list").dispatchEvent(new KeyboardEvent("keydown", { key: "Home" }))`)
	first := b.Eval(`document.querySelector("#list .row[aria-selected=true]").getAttribute("aria-rowindex")`)
	b.Eval(`document.getElementById("list").dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown" }))`)
	if second := b.Eval(`document.querySelector("#list .row[aria-selected=true]").getAttribute("aria-rowindex")`); first != "2" || second != "3" {
		t.Errorf("Home and ArrowDown picked rows %v and %v", first, second)
	}
	b.NoTrouble()
}

// Arrows tell which transaction came before which, and their words stand apart.
func TestBrowserDrawsEdges(t *testing.T) {
	b := startBrowser(t)
	b.Size(1280, 900)
	in := transactionsInput()
	b.open(in, "")
	if got := b.Eval(`document.querySelectorAll(".witness .op").length`); got != 4.0 {
		t.Errorf("%v transactions are drawn", got)
	}
	labels := b.Eval(`[...document.querySelectorAll(".witness .edge-label text")].map((l) => l.textContent).join(" | ")`)
	if want := "wr x · was read by | rw y · did not see | realtime · ended before | process · same process, before"; labels != want {
		t.Errorf("the arrows say %q, want %q", labels, want)
	}
	if apart := b.Eval(`(() => {
		const all = [...document.querySelectorAll(".witness .edge-label")].map((l) => l.getBoundingClientRect());
		return all.every((p, i) => all.every((q, j) => i === j || p.right <= q.left || q.right <= p.left || p.bottom <= q.top || q.bottom <= p.top));
	})()`); apart != true {
		t.Error("the words of two arrows lie over each other")
	}
	// Every arrow begins and ends at the edge of a bar.
	if met := b.Eval(`(() => {
		const bars = [...document.querySelectorAll(".witness .op rect")].map((r) => r.getBBox());
		return [...document.querySelectorAll(".witness .edge")].every((e) => {
			const line = e.querySelector("path:not(.head)"), tip = e.querySelector("path.head").getBBox();
			const from = line.getPointAtLength(0);
			const at = (x, y) => bars.some((r) => x >= r.x - 1 && x <= r.x + r.width + 1 && (Math.abs(y - r.y) < 2 || Math.abs(y - r.y - r.height) < 2));
			return at(from.x, from.y) && (at(tip.x + tip.width / 2, tip.y) || at(tip.x + tip.width / 2, tip.y + tip.height) || at(tip.x, tip.y + tip.height) || at(tip.x + tip.width, tip.y));
		});
	})()`); met != true {
		t.Error("an arrow hangs in the air")
	}
	if text := b.Eval(`document.querySelector("#list .row .value").textContent`); text != "append x 1, append y 1" {
		t.Errorf("a transaction is listed as %q", text)
	}
	b.NoTrouble()
}

func TestBrowserZooms(t *testing.T) {
	b := startBrowser(t)
	b.Size(1280, 900)
	b.open(samples["invalid"].input(), "")
	b.Eval(`document.getElementById("plot-rate").scrollIntoView({ block: "center" })`)
	area := b.Eval(`(() => { const r = document.querySelector("#plot-rate .u-over").getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; })()`).([]any)
	left, y, width := area[0].(float64), area[1].(float64)+area[3].(float64)/2, area[2].(float64)
	b.Mouse("mouseMoved", left+width/4, y, 0)
	b.Mouse("mousePressed", left+width/4, y, 1)
	b.Mouse("mouseMoved", left+width/3, y, 0)
	b.Mouse("mouseMoved", left+width/2, y, 0)
	b.Mouse("mouseReleased", left+width/2, y, 1)
	shows := func(what string, want func(from, to float64) bool) {
		t.Helper()
		var v []any
		if !testbrowser.Soon(func() bool {
			v = b.Eval(`["range-from", "range-to"].map((id) => Number(document.getElementById(id).value))`).([]any)
			return want(v[0].(float64), v[1].(float64))
		}) {
			t.Errorf("%s: %v", what, v)
		}
	}
	shows("dragging over the second quarter of 40 s", func(from, to float64) bool {
		return from >= 9.5 && from <= 10.5 && to >= 19.5 && to <= 20.5
	})
	if b.Eval(`document.getElementById("moment").textContent`) == "" {
		t.Error("nothing tells of the moment under the cursor")
	}
	b.Mouse("mousePressed", left+width/2, y, 1)
	b.Mouse("mouseReleased", left+width/2, y, 1)
	b.Mouse("mousePressed", left+width/2, y, 2)
	b.Mouse("mouseReleased", left+width/2, y, 2)
	shows("a double click must show the whole run", func(from, to float64) bool { return from == 0 && to == 40 })
	b.Eval(`document.querySelector("#plot-nodes .plot").dispatchEvent(new KeyboardEvent("keydown", { key: "+" }))`)
	shows("the plus key must show the middle half", func(from, to float64) bool { return from == 10 && to == 30 })
	b.NoTrouble()
}

func TestBrowserShowsTheTrace(t *testing.T) {
	b := startBrowser(t)
	b.Size(1280, 900)
	b.open(tracedInput(), "")
	b.Wait(`!document.getElementById("trace-view").hidden`)
	text := func(id string) string { return b.Eval(`document.getElementById("` + id + `").textContent`).(string) }
	arrows := func() float64 { return b.Eval(`document.querySelectorAll("#trace-lanes .message").length`).(float64) }
	// What the counterexample goes back to comes first; then what each node believed when
	// the wrong answer was given. A leader that is cut off is no fault by itself.
	if got, want := text("trace-says"), "At 1.500 s, when partition leader (n1 → n2, n3) began: n1 (term 2) took itself for the leader."; got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
	b.Eval(`document.querySelectorAll("#trace-ops button")[2].click()`)
	if b.Eval(`document.querySelector("#trace-says .bad") !== null`) == true {
		t.Error("two leaders of different terms are called wrong")
	}
	if got, want := text("trace-says"), "At 2.102 s, when process 2 got its answer to read -> 1 from n1 (leader of term 2): n1 (term 2) and n2 (term 3) took themselves for the leader. An old leader is late to hear of a new one where it is cut off: only what it then answers can be wrong."; got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
	if got, want := b.Eval(`[...document.querySelectorAll("#trace-beliefs tr")].map((r) => [...r.cells].map((c) => c.textContent).join(" ")).join("; ")`), "n1 leader 2 (behind) n1 – –; n2 leader 3 n2 8 7; n3 unknown 3 – 8 7"; got != want {
		t.Errorf("the beliefs are %q, want %q", got, want)
	}
	b.Eval(`document.querySelector("[data-trace=all]").click()`)
	// The operations' own messages, the vote and another client's read; no heartbeat.
	if got := arrows(); got != 7 {
		t.Errorf("%v messages are drawn, want 7", got)
	}
	if got := b.Eval(`document.querySelectorAll("#trace-lanes .beat.lost").length`); got != 14.0 {
		t.Errorf("%v lost heartbeats are noted, want 14", got)
	}
	toggle := func(name string) {
		b.Eval(`document.querySelector("#trace-toggles input[value=` + name + `]").click()`)
	}
	toggle("idle")
	if got := arrows(); got != 23 {
		t.Errorf("with heartbeats, %v messages are drawn, want 23", got)
	}
	toggle("idle")
	toggle("key")
	if got := arrows(); got != 6 {
		t.Errorf("without the other read, %v messages are drawn, want 6", got)
	}
	if got := text("trace-list"); !strings.Contains(got, "election won") || !strings.Contains(got, "fsync data/raft.wal: input/output error") || strings.Contains(got, "wakes") {
		t.Errorf("the list is %q", got)
	}

	// One click for the wrong answer's own messages, one for what a message says.
	b.Eval(`document.querySelectorAll("#trace-ops button")[2].click()`)
	if got := arrows(); got != 2 {
		t.Errorf("during the read, %v messages are drawn, want 2", got)
	}
	area := b.Eval(`(() => { document.getElementById("trace-lanes").scrollIntoView({ block: "center" }); const r = document.querySelector("#trace-lanes .message .grip").getBoundingClientRect(); return [r.left + r.width / 2, r.top + r.height / 2]; })()`).([]any)
	b.Mouse("mouseMoved", area[0].(float64), area[1].(float64), 0)
	b.Mouse("mousePressed", area[0].(float64), area[1].(float64), 1)
	b.Mouse("mouseReleased", area[0].(float64), area[1].(float64), 1)
	if got := text("trace-picked"); !strings.Contains(got, "clients → n1") || !strings.Contains(got, "read: x") || !strings.Contains(got, "1.0 ms later") {
		t.Errorf("of the message picked it says %q", got)
	}
	// A click beside it asks about another moment; a double click shows all again.
	b.Eval(`document.querySelector("[data-trace=all]").click()`)
	place := b.Eval(`(() => { const r = document.getElementById("trace-lanes").getBoundingClientRect(); return [r.left + 70, r.top + r.height - 3]; })()`).([]any)
	b.Mouse("mousePressed", place[0].(float64), place[1].(float64), 1)
	b.Mouse("mouseReleased", place[0].(float64), place[1].(float64), 1)
	if got := text("trace-says"); !strings.HasSuffix(got, ": n1 (term 2) took itself for the leader.") {
		t.Errorf("at the beginning it says %q", got)
	}
	b.Eval(`document.getElementById("trace-lanes").dispatchEvent(new KeyboardEvent("keydown", { key: "+" }))`)
	if got := b.Eval(`document.querySelectorAll("#trace-lanes .tick").length > 2 && document.querySelectorAll("#trace-lanes .moment").length`); got != 1.0 {
		t.Errorf("zoomed in towards the moment, it is not in view: %v", got)
	}
	b.NoTrouble()

	plain := tracedInput()
	plain.Trace, plain.TraceCommand = nil, "coup replay DIR --trace"
	b.open(plain, "")
	if got := b.Eval(`document.querySelector(".again-traced").textContent`).(string); !strings.Contains(got, plain.TraceCommand) {
		t.Errorf("a counterexample without a trace says %q", got)
	}
	b.NoTrouble()
}

func TestBrowserTurnsDark(t *testing.T) {
	b := startBrowser(t)
	dark := `getComputedStyle(document.body).backgroundColor`
	b.Prefer("dark")
	b.open(samples["short"].input(), "")
	night := b.Eval(dark)
	b.Prefer("light")
	day := b.Eval(dark)
	b.Eval(`document.getElementById("theme").click()`)
	toggled := b.Eval(dark)
	if night == day || toggled != night {
		t.Errorf("background is %v in dark, %v in light, %v in light after a click on the button", night, day, toggled)
	}
	b.NoTrouble()
}

// It prints how long the page takes with many operations; nothing fails by
// time, but the rows in the page must stay few.
func TestBrowserWith100k(t *testing.T) {
	if testing.Short() {
		t.Skip("-short")
	}
	b := startBrowser(t)
	b.Size(1280, 900)
	began := time.Now()
	in := samples["invalid100k"].input()
	t.Logf("fixture made in %v", time.Since(began).Round(time.Millisecond))
	began = time.Now()
	b.open(in, "")
	t.Logf("written, opened and listed in %v", time.Since(began).Round(time.Millisecond))
	t.Logf("ready %v ms after the page was asked for", b.Eval(`Math.round(performance.now())`))
	gap := b.Eval(`new Promise((done) => {
		const list = document.getElementById("list"), began = performance.now();
		let last = began, worst = 0, frames = 0;
		const step = (now) => {
			worst = Math.max(worst, now - last);
			last = now;
			list.scrollTop += 3777;
			if (++frames < 120) requestAnimationFrame(step); else done([worst, (now - began) / frames]);
		};
		requestAnimationFrame(step);
	})`).([]any)
	t.Logf("scrolling: %.0f ms per frame, %.0f ms at worst", gap[1], gap[0])
	if rows := b.Eval(`document.querySelectorAll("#list .row").length`).(float64); rows < 10 || rows > 60 {
		t.Errorf("%v rows are in the page after scrolling", rows)
	}
	took := b.Eval(`new Promise((done) => {
		const e = document.getElementById("filter-text"), count = document.getElementById("op-count"), began = performance.now();
		new MutationObserver(() => done(performance.now() - began)).observe(count, { childList: true });
		e.value = "777";
		e.dispatchEvent(new Event("input", { bubbles: true }));
	})`)
	t.Logf("searched in %.0f ms, 80 of them waiting for the next key", took)
	took = b.Eval(`new Promise((done) => {
		const began = performance.now();
		document.querySelector("[data-move=in]").click();
		requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - began)));
	})`)
	t.Logf("zoomed in within %.0f ms", took)
	b.NoTrouble()
}

// In a window of 1400 pixels the failovers are seen from the first column to the last.
func TestBrowserFailoversFit(t *testing.T) {
	b := startBrowser(t)
	b.Size(1400, 900)
	in := made{Seed: 1, Lasts: 60 * time.Second, Operations: 2000, Faults: true}.input()
	b.open(in, "")
	if got := b.Eval(`document.querySelectorAll("#failovers tbody > tr").length`).(float64); got < 6 {
		t.Fatalf("%v rows", got)
	}
	if got := b.Eval(`(() => { const box = document.querySelector("#failovers .scroll"); return box.scrollWidth - box.clientWidth; })()`).(float64); got > 0 {
		t.Errorf("the table of failovers is %v pixels too wide", got)
	}
	if got := b.Eval(`document.documentElement.scrollWidth`).(float64); got > 1400 {
		t.Errorf("the page is %v pixels wide", got)
	}
	b.NoTrouble()
}

// On a narrow page what goes on to the side says so, labels keep apart, and one
// counterexample stands open.
func TestBrowserIsNarrow(t *testing.T) {
	b := startBrowser(t)
	in := tracedInput()
	again := in.Verdict.Results[0]
	again.Checker = "sessions" // the same operations
	other := *again.Counterexample
	other.Witness = other.Witness[1:]
	third := again
	third.Checker, third.Counterexample = "staleness", &other
	in.Verdict.Results = append(in.Verdict.Results, again, third)
	b.Size(400, 800)
	b.open(in, "")
	b.Wait(`!document.getElementById("trace-view").hidden`)
	if got := b.Eval(`document.documentElement.scrollWidth`).(float64); got > 400 {
		t.Errorf("the page is %v pixels wide", got)
	}
	for _, box := range []string{".top nav", ".proof .scroll", "#trace-lanes"} {
		b.Wait(`document.querySelector("` + box + `").matches(".more-right")`)
	}
	b.Eval(`document.querySelector(".top nav").scrollLeft = 10000`)
	b.Wait(`document.querySelector(".top nav").matches(".more-left:not(.more-right)")`)
	if got := b.Eval(`[...document.querySelectorAll(".proof h2 small")].map((e) => e.textContent).join("; ")`); got != "found by linearizable and sessions; found by staleness" {
		t.Errorf("counterexamples: %v", got)
	}
	if got := b.Eval(`document.querySelector(".around").getBoundingClientRect().bottom`).(float64); got > 800 {
		t.Errorf("the cause ends at %v pixels, below the first screen", got)
	}
	if got := b.Eval(`document.querySelector(".more-proofs").open`); got != false {
		t.Error("the second counterexample is open")
	}
	b.Eval(`document.querySelector(".more-proofs").open = true`)
	b.Wait(`document.querySelector(".more-proofs svg") !== null`)
	overlap := `(() => { const all = [...document.querySelectorAll("#trace-lanes .words")].map((e) => e.getBoundingClientRect());
		return all.some((a, i) => all.some((c, j) => i < j && a.left < c.right && c.left < a.right && Math.abs(a.top - c.top) < 5)); })()`
	if b.Eval(overlap) == true {
		t.Error("labels of messages lie on each other")
	}
	b.NoTrouble()
}
