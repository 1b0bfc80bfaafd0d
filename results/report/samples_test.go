package report

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"coup/harness"
)

var samplesDir = flag.String("samples", "", "write sample reports and pictures of them to this directory, to look at them")

// samples are the states in which a report is seen.
var samples = map[string]made{
	"invalid":     {Seed: 1, Lasts: 40 * time.Second, Operations: 12000, Faults: true, Verdict: harness.Invalid},
	"valid":       {Seed: 2, Lasts: 60 * time.Second, Operations: 20000, Faults: true},
	"unknown":     {Seed: 3, Lasts: 30 * time.Second, Operations: 5000, Faults: true, Verdict: harness.Unknown},
	"calm":        {Seed: 4, Lasts: 20 * time.Second, Operations: 4000},
	"short":       {Seed: 5, Lasts: 2 * time.Second, Operations: 200},
	"hour":        {Seed: 6, Lasts: time.Hour, Operations: 60000, Faults: true},
	"empty":       {Seed: 7, Lasts: 10 * time.Second, Verdict: harness.Unknown},
	"invalid100k": {Seed: 8, Lasts: 60 * time.Second, Operations: 100000, Faults: true, Verdict: harness.Invalid},
}

func TestSamples(t *testing.T) {
	if *samplesDir == "" {
		t.Skip("no -samples DIR")
	}
	inputs := map[string]Input{"nothing": {}, "hostile": hostileInput()}
	for name, m := range samples {
		inputs[name] = m.input()
	}
	for name, in := range inputs {
		f, err := os.Create(filepath.Join(*samplesDir, name+".html"))
		if err != nil {
			t.Fatal(err)
		}
		if err := Write(f, in); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	b := startBrowser(t)
	for name, in := range inputs {
		for _, width := range []int{400, 1280, 2560} {
			for _, scheme := range []string{"light", "dark"} {
				b.Size(width, 900)
				b.Prefer(scheme)
				b.open(in, "")
				b.Picture(filepath.Join(*samplesDir, fmt.Sprintf("%s-%d-%s.png", name, width, scheme)))
			}
		}
	}
}
