package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"coup/checker"
	"coup/checker/conduct"
	"coup/harness"
	"coup/internal/testbrowser"
	"coup/judge"
	"coup/plan"
	"coup/results"
)

// writing is a run that a test writes, as a run writes itself.
type writing struct {
	t   *testing.T
	run *results.Run
	at  time.Duration
}

func startWriting(t *testing.T, folder, workload string) *writing {
	t.Helper()
	run, err := results.Create(folder, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p := plan.Default()
	p.Nodes, p.Workload, p.FailFast = 3, workload, true
	w := &writing{t: t, run: run}
	w.must(results.WriteJSON(run.Dir, results.PlanFile, plan.Stored{Plan: p, Run: run.ID, Started: time.Now(), Tells: harness.Facts{harness.Events}}))
	w.event(harness.Event{Kind: harness.PhaseEvent, Message: string(harness.PhaseLoad)})
	w.event(harness.Event{Kind: harness.RoleEvent, Node: "n2", Role: "leader", Term: 7})
	return w
}

func (w *writing) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Error(err)
	}
}

func (w *writing) event(e harness.Event) {
	e.Time = w.at
	w.must(w.run.Events.RecordEvent(&e))
}

// operations writes n operations of a second, and a line of a log for each.
func (w *writing) operations(n int) {
	for i := range n {
		op := harness.Op{Time: w.at, Process: i % 5, F: "add", Value: int64(i)}
		w.must(w.run.History.Record(&op))
		op.Time, op.Type = w.at+time.Duration(1+i%7)*time.Millisecond, harness.OK
		w.must(w.run.History.Record(&op))
		w.at += time.Second / time.Duration(n)
		w.must(w.run.NodeLog("n1", fmt.Appendf(nil, "applied %d </pre><script>alert(1)</script>", i)))
	}
}

func (w *writing) end(valid harness.Validity, failovers ...time.Duration) {
	d := conduct.FailoverDetails{}
	for _, f := range failovers {
		d.Failovers = append(d.Failovers, conduct.Failover{Cause: conduct.CauseFault, Served: f})
	}
	v := judge.Verdict{Verdict: checker.Verdict{Valid: valid, Results: []harness.Result{
		{Checker: "set", Valid: valid, Judges: harness.Answers, Summary: "Judged."}, {Checker: conduct.Failovers{}.Name(), Valid: harness.Valid, Details: d},
	}}}
	w.event(harness.Event{Kind: harness.PhaseEvent, Message: string(harness.PhaseDone)})
	w.must(w.run.Close())
	w.must(results.WriteFile(w.run.Dir, results.ReportFile, func(out io.Writer) error {
		_, err := io.WriteString(out, "<!doctype html><title>the report</title>")
		return err
	}))
	w.must(results.WriteJSON(w.run.Dir, results.VerdictFile, v))
}

// The list is filtered, a run is seen as it goes, and two are compared, in a browser.
func TestBrowserServes(t *testing.T) {
	dir := t.TempDir()
	h, err := New(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	defer server.Close()
	b := testbrowser.Start(t, server.URL+"/")
	b.Size(1280, 900)

	for i, name := range []string{"set", "register"} {
		w := startWriting(t, dir, name)
		w.operations(40)
		w.event(harness.Event{Kind: harness.FaultStart, ID: 1, Fault: "kill", Target: "leader", Nodes: []string{"n2"}})
		w.event(harness.Event{Kind: harness.FaultHold, ID: 1, Fault: "kill", Target: "leader", Nodes: []string{"n2"}})
		w.operations(20)
		w.end(harness.Valid, time.Second*time.Duration(1+i), 3*time.Second)
	}
	live := startWriting(t, dir, "queue")

	text := func(id string) string { return fmt.Sprint(b.Eval(`document.getElementById("` + id + `").textContent`)) }
	rows := func() string {
		return fmt.Sprint(b.Eval(`[...document.querySelectorAll("tbody tr td:nth-child(4)")].map((e) => e.textContent).join(" ")`))
	}
	b.Open(server.URL + "/")
	if got := rows(); got != "under way valid valid" {
		t.Errorf("the list says %q", got)
	}
	b.Eval(`document.querySelector("input[name=q]").value = "register valid", document.querySelector("form button").click()`)
	b.Wait(`location.search.includes("register") && document.querySelectorAll("tbody tr").length === 1`)
	b.NoTrouble()

	// Somebody writes, and the page follows.
	ctx, stop := context.WithCancel(context.Background())
	var writer sync.WaitGroup
	writer.Go(func() {
		for ctx.Err() == nil && live.at < 10*time.Minute {
			live.operations(50)
			time.Sleep(50 * time.Millisecond)
		}
	})
	address := server.URL + "/live/" + filepath.Base(live.run.Dir)
	b.Open(address)
	b.Wait(`Number(document.getElementById("ok").textContent.replace(/,/g, "")) > 200 && document.querySelectorAll("#plots canvas").length === 4`)
	before := b.Eval(`whole = document.getElementById("range-to").value, Number(whole)`).(float64)
	b.Wait(fmt.Sprintf(`Number(document.getElementById("range-to").value) > %g`, before)) // it follows
	if got := text("word") + "; " + text("phase") + "; " + text("leaders") + "; " + text("in-force"); got != "under way; load; n2, term 7; none" {
		t.Errorf("the page says %q", got)
	}
	b.Wait(`document.getElementById("log-list").textContent.includes("</pre><script>alert(1)</script>")`)
	stop()
	writer.Wait()
	live.event(harness.Event{Kind: harness.FaultStart, ID: 1, Fault: "kill", Target: "leader"})
	live.event(harness.Event{Kind: harness.FaultHold, ID: 1, Fault: "kill", Target: "leader", Nodes: []string{"n2"}})
	live.operations(1)
	b.Wait(`document.getElementById("in-force").textContent === "kill leader: n2" && document.getElementById("leaders").textContent === "nobody that is known"`)
	// Who looks at a part of the run goes on looking at it.
	b.Eval(`document.querySelector("[data-move=in]").click()`)
	zoomed := b.Eval(`document.getElementById("range-to").value`)
	live.operations(3)
	live.event(harness.Event{Kind: harness.ViolationEvent, Message: "<b>lost 5</b>"})
	b.Wait(`document.getElementById("first").textContent === "The first violation: <b>lost 5</b>" && !document.getElementById("first").hidden`)
	if now := b.Eval(`document.getElementById("range-to").value`); now != zoomed {
		t.Errorf("the time shown went from %v to %v", zoomed, now)
	}
	if b.Eval(`document.getElementById("report").hidden`) != true {
		t.Error("there is a link to a report that is not there")
	}
	if to := os.Getenv("COUP_TEST_PICTURES"); to != "" {
		b.Picture(filepath.Join(to, "live.png"))
	}
	live.end(harness.Invalid)
	b.Wait(`document.body.className === "invalid" && document.getElementById("word").textContent === "invalid" && !document.getElementById("report").hidden`)
	b.Eval(`document.getElementById("report").click()`)
	b.Wait(`document.title === "the report"`)
	b.NoTrouble()

	// Two are chosen and compared.
	b.Open(server.URL + "/?q=nowhere")
	if got := b.Eval(`document.querySelector("tbody").textContent.trim()`); got != "There is nothing here." {
		t.Errorf("the list says %q", got)
	}
	b.Open(server.URL + "/?q=valid")
	b.Eval(`document.querySelectorAll("input[type=checkbox]").forEach((c, i) => { c.checked = i > 0; }), document.querySelector("#chosen button").click()`)
	b.Wait(`location.pathname === "/compare" && document.querySelectorAll("#plots canvas").length === 4 && document.querySelectorAll("#plot-failovers canvas").length === 1`)
	if got := b.Eval(`[...document.querySelectorAll("#failovers .scroll tbody tr")].map((r) => [...r.cells].slice(0, 4).map((c) => c.textContent).join(" ")).join("; ")`); got != "A 2 2 s 2 s; B 2 1 s 1 s" {
		t.Errorf("failovers: %q", got)
	}
	if got := b.Eval(`document.querySelector("#differs .plan").textContent`).(string); !strings.Contains(got, "workload") || strings.Contains(got, "concurrency") {
		t.Errorf("what differs: %q", got)
	}
	b.Eval(`document.querySelector("[data-move=in]").click()`)
	if to := os.Getenv("COUP_TEST_PICTURES"); to != "" {
		b.Picture(filepath.Join(to, "compare.png"))
	}
	b.NoTrouble()
	b.Size(400, 800)
	if got := b.Eval(`document.documentElement.scrollWidth`).(float64); got > 400 {
		t.Errorf("the comparison is %v pixels wide on a narrow screen", got)
	}

	// A run that vanishes.
	gone := startWriting(t, dir, "lock")
	gone.operations(100)
	b.Open(server.URL + "/live/" + filepath.Base(gone.run.Dir))
	b.Wait(`document.getElementById("ok").textContent === "100"`)
	if got := b.Eval(`document.documentElement.scrollWidth`).(float64); got > 400 {
		t.Errorf("the page of a run is %v pixels wide on a narrow screen", got)
	}
	b.NoTrouble()
	if err := errors.Join(gone.run.Close(), os.RemoveAll(gone.run.Dir)); err != nil {
		t.Error(err)
	}
	b.Wait(`document.getElementById("word").textContent === "gone" && document.getElementById("ok").textContent === "100"`)
}
