package report

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"coup/checker/conduct"
	"coup/harness"
)

func TestPartitionsAreShownSideBySide(t *testing.T) {
	d := conduct.PartitionDetails{Partitions: []conduct.Partition{{
		ID: 4, Fault: "partition", Target: "leader", From: time.Second, To: 3 * time.Second,
		Sides: []conduct.Side{
			{Nodes: []string{"n2", "n3"}, Majority: true, Agrees: conduct.Agrees,
				Updates: conduct.Attempts{OK: 1500, Fail: 2, First: time.Second, Last: 2900 * time.Millisecond}},
			{Nodes: []string{"n1"}, Agrees: conduct.Contradicts, Why: "k1 <b>was</b> old",
				Reads: conduct.Attempts{OK: 3, Info: 1, Late: 2, First: time.Second, Last: 1100 * time.Millisecond}},
		},
	}}}
	var page bytes.Buffer
	err := Write(&page, Input{Verdict: Verdict{Results: []harness.Result{{
		Checker: "partitions", Judges: harness.Service, Summary: "In 1 partition both answered.", Details: d,
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`<a href="#partitions">`, "In 1 partition both answered.", "partition leader",
		"majority<td>n2, n3<td>not asked<td>yes<br><small>1,500 of 1,502 ok · 2 fail</small><td>yes",
		`minority<td>n1<td>at first only<br><small>3 of 6 ok · 1 info · 2 ok after the healing</small><td>not asked<td><strong class="bad">no</strong><br><small>k1 &lt;b&gt;was&lt;/b&gt; old`,
	} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	page.Reset()
	if err := Write(&page, Input{}); err != nil || strings.Contains(page.String(), `id="partitions"`) {
		t.Errorf("without partitions there is nothing to show (%v)", err)
	}
}
