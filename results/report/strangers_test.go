package report

import (
	"bytes"
	"strings"
	"testing"

	"coup/checker/strangers"
	"coup/harness"
)

func TestStrangersAreCounted(t *testing.T) {
	var page bytes.Buffer
	err := Write(&page, Input{Verdict: Verdict{Results: []harness.Result{{
		Checker: "strangers (stranger)", Valid: harness.Invalid, Summary: "Strangers were let in.", Details: strangers.Details{Ways: []strangers.Way{
			{Way: "flood", Refused: 1003, LetIn: 2, Nobody: 4, Answers: map[string]int{"hung up": 3, "tls: <no>": 1000}},
		}},
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`<a href="#strangers">`, "no certificate, while many others had begun a handshake",
		`<td class="n">1,003<td>tls: &lt;no&gt;: 1,000<br>hung up: 3<td class="n">4<td class="n"><strong class="bad">2</strong>`,
	} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	page.Reset()
	if err := Write(&page, Input{}); err != nil || strings.Contains(page.String(), `id="strangers"`) {
		t.Errorf("without strangers there is nothing to show (%v)", err)
	}
}
