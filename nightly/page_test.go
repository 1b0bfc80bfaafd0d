package nightly

import (
	"bytes"
	"encoding/xml"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"coup/internal/testbrowser"
	"coup/plan"
)

var pageTo = flag.String("page", "", "write the page of TestPageOfManyNights to this file")

// pageOfManyNights is a page of 60 nights of 300 cells.
func pageOfManyNights(t *testing.T) []byte {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 1))
	all := simulatedNights(r, 60, 300, 50)
	for i := range all {
		all[i].Ended = time.Date(2030, 1, 1+i, 0, 0, 0, 0, time.UTC)
		for j := range all[i].Outcomes {
			o := &all[i].Outcomes[j]
			o.Cell = "raft/docker/register/partition:leader+kill:leader+pause:leader/heartbeat=200ms/" + o.Cell
			o.Says = "valid: Linearizable: 9494 operations, 50 sets. 9189 operations succeeded, 0 failed, of 0 nobody knows; 12 of 12 faults bit."
			o.Workload, o.Faults = []string{"register", "set", "queue"}[j%3], []string{"kill:leader", "partition:leader"}[:1+j%2]
			o.Class = Classes[max(0, len(Classes)-1-r.IntN(30)/23*r.IntN(8))]
		}
	}
	tonight := all[59].with(all[59].Outcomes, all[:59])
	var b bytes.Buffer
	if err := writePage(&b, tonight, trendsOf(tonight, all[:59])); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// It stays small.
func TestPageOfManyNights(t *testing.T) {
	b := bytes.NewBuffer(pageOfManyNights(t))
	t.Logf("%d bytes", b.Len())
	if b.Len() > 5<<20 || !strings.Contains(b.String(), "worse since 050") {
		t.Errorf("%d bytes", b.Len())
	}
	if *pageTo != "" {
		if err := os.WriteFile(*pageTo, b.Bytes(), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// It works in a browser. How long it takes to open, beside an empty page, is told; nothing fails
// by time.
func TestBrowserOpensManyNights(t *testing.T) {
	dir := t.TempDir()
	many, none := filepath.Join(dir, "many.html"), filepath.Join(dir, "none.html")
	for name, page := range map[string][]byte{many: pageOfManyNights(t), none: []byte("<!doctype html><title>none</title>")} {
		if err := os.WriteFile(name, page, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b := testbrowser.Start(t)
	b.Size(1280, 900)
	took := map[string][]time.Duration{}
	for range 7 {
		for _, name := range []string{none, many} {
			began := time.Now()
			b.Open("file://" + name)
			took[name] = append(took[name], time.Since(began))
		}
	}
	for _, name := range []string{none, many} {
		slices.Sort(took[name])
		t.Logf("%s opens within %v at best, %v in the median", filepath.Base(name), took[name][0], took[name][3])
	}
	if got := b.Eval(`document.getElementById("filter").value = "c7", document.getElementById("filter").dispatchEvent(new Event("input")), document.getElementById("count").textContent`).(string); !strings.HasSuffix(got, " of 300 cells") || strings.HasPrefix(got, "300") {
		t.Errorf("filtered, it shows %s", got)
	}
	b.NoTrouble()
}

// What cells, errors and known failures are called means nothing in a page.
func TestHostileNames(t *testing.T) {
	evil := "</script><img src=x onerror=alert(1)>\" onclick='x' | `code` ]]> \x00 [a](javascript:alert(1))"
	c := Cell{Name: evil, Expect: ExpectValid, Why: evil, Plan: plan.Default(), Seeds: []uint64{1}}
	c.Plan.System, c.Plan.Workload, c.Plan.Nemesis = evil, evil, []string{evil}
	rec := &Record{Cell: evil, Run: 1, Valid: 2, Sentence: evil, Fingerprint: evil, Dir: "runs/" + evil, Command: evil, Triage: &Triage{Smallest: evil, Traced: "javascript:alert(1)", Failed: evil}}
	known := []Known{{Fingerprint: "other", Link: "javascript:alert(1)", Why: evil}}
	r := Report{Name: evil, ID: "1", Build: evil, Entries: known, Ended: time.Unix(1e9, 0)}.with([]Outcome{outcomeOf(c, []*Record{rec}, nil, time.Time{})}, nil)
	tr := trendsOf(r, nil)
	var page, markdown, junit bytes.Buffer
	if err := cmpErr(writePage(&page, r, tr), writeSummary(&markdown, r, tr), writeJUnit(&junit, r)); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<img", "onclick='", `href="javascript:`, "href=javascript:"} {
		if strings.Contains(page.String(), bad) {
			t.Errorf("the page has %s", bad)
		}
	}
	for line := range strings.Lines(markdown.String()) {
		line, _, code := strings.Cut(line, " | `") // a command, as code
		if strings.Contains(line, "<img") || strings.Contains(line, "[a](") {
			t.Errorf("the summary has %s", line)
		}
		if strings.HasPrefix(line, "| new | &lt;") && (!code || strings.Count(strings.ReplaceAll(line, `\|`, ""), "|") != 3) {
			t.Errorf("a row has other fields: %s", line)
		}
	}
	if err := xml.Unmarshal(junit.Bytes(), new(struct{})); err != nil {
		t.Errorf("%v: %s", err, junit.String())
	}
}
