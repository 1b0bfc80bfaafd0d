package harness_test

import (
	"encoding/json"
	"testing"

	"coup/harness"
)

func TestValidity(t *testing.T) {
	for v, want := range map[harness.Validity]string{
		harness.Valid: "true", harness.Invalid: "false", harness.Unknown: `"unknown"`, harness.NotJudged: `"not judged"`,
	} {
		b, err := json.Marshal(v)
		if err != nil || string(b) != want {
			t.Errorf("%v is written %s, %v", v, b, err)
		}
		got := harness.Validity(99)
		if err := json.Unmarshal(b, &got); err != nil || got != v {
			t.Errorf("%s is read as %v, %v", b, got, err)
		}
	}
	var v harness.Validity
	if err := json.Unmarshal([]byte(`"maybe"`), &v); err == nil {
		t.Error("maybe is taken for a verdict")
	}
}

func TestWorst(t *testing.T) {
	const valid, unknown, invalid, not = harness.Valid, harness.Unknown, harness.Invalid, harness.NotJudged
	for _, c := range []struct {
		of   []harness.Validity
		want harness.Validity
	}{
		{nil, valid}, {[]harness.Validity{not}, valid}, {[]harness.Validity{valid, not}, valid},
		{[]harness.Validity{not, unknown, valid}, unknown}, {[]harness.Validity{unknown, invalid, not}, invalid},
	} {
		if got := harness.Worst(c.of...); got != c.want {
			t.Errorf("the worst of %v is %v", c.of, got)
		}
	}
}
