package plan

import (
	"slices"
	"strings"
	"testing"
)

func TestCaptureIsAWordOfAPlan(t *testing.T) {
	p := Default()
	if err := p.Parse("plan.yaml", []byte("capture: 256\n")); err != nil || p.Capture != 256 {
		t.Fatalf("%d, %v", p.Capture, err)
	}
	p = resolved(t, func(q *Plan) { q.Capture = 256 })
	if words := strings.Fields(p.Command()); !slices.Contains(words, "--capture=256") {
		t.Errorf("the command is %v", words)
	}
	if !p.Drawn() {
		t.Error("a plan with a capture is taken for one that was written by hand")
	}
	for _, c := range []int{-1, mostCapture + 1} {
		wrong := Default()
		if wrong.Capture = c; wrong.Resolve() == nil {
			t.Errorf("capture %d is accepted", c)
		}
	}
}
