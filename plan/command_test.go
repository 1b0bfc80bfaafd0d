package plan

import "testing"

func TestTheCommandKnowsTheSchedule(t *testing.T) {
	p := resolved(t, nil)
	if got := p.again("dir"); got != p.Command() {
		t.Errorf("a plan with a schedule that was drawn: %s", got)
	}
	p.Schedule = p.Schedule[1:]
	if got := p.again("my dir"); got != "coup replay 'my dir'" {
		t.Errorf("a plan with a schedule of its own: %s", got)
	}
	if got := (Stored{Plan: p, Node: "bin/my raft.wasm"}).Again("dir"); got != "coup replay dir --node 'bin/my raft.wasm'" {
		t.Errorf("a run of another program: %s", got)
	}
}
