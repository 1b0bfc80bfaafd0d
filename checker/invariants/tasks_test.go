package invariants_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"coup/checker/internal/testhistory"
	"coup/checker/invariants"
	"coup/checker/model"
	"coup/harness"
)

// step is an operation on a board, from one second to another.
type step struct {
	process  int
	how      harness.Type
	f        string
	task     int64
	token    int64 // submit: the task that it waits for
	from, to float64
}

const taskLease = 2 * time.Second

func tasksHistory(steps []step) *harness.History {
	type mark struct {
		at    float64
		op    int
		begun bool
	}
	var marks []mark
	h := &harness.History{}
	seconds := func(x float64) time.Duration { return time.Duration(x * float64(time.Second)) }
	for i, s := range steps {
		op := harness.Operation{Process: s.process, F: s.f, Key: "k0", Type: s.how, Return: harness.Open, Start: seconds(s.from), End: seconds(s.to)}
		a := model.Assignment{Task: s.task, Token: s.token}
		switch s.f {
		case "submit":
			in := model.Submitted{Task: s.task}
			if s.token != 0 {
				in.After = model.Just(s.token)
			}
			op.Input = in
		case "take":
			if a.Lease = taskLease; s.task != 0 && s.how == harness.OK {
				op.Output = a
			}
		case "beat", "finish":
			op.Input = a
			if a.Lease = taskLease; s.f == "beat" && s.how == harness.OK {
				op.Output = a
			}
		case "put":
			op.Input = model.Produced{Message: s.task, Producer: s.token}
		case "deliver":
			if s.task != 0 && s.how == harness.OK {
				op.Output = model.Delivery{Message: s.task, Token: s.token, Within: taskLease}
			}
		case "ack":
			op.Input = model.Delivery{Message: s.task, Token: s.token}
		case "read", "waiting", "dead": // shows one task, or none
			op.Output = []int64{}
			if s.task != 0 {
				op.Output = []int64{s.task}
			}
		}
		h.Operations = append(h.Operations, op)
		marks = append(marks, mark{s.from, i, true}, mark{s.to, i, false})
	}
	slices.SortStableFunc(marks, func(a, b mark) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return 0
	})
	for at, m := range marks {
		if op := &h.Operations[m.op]; m.begun {
			op.Call = at
		} else if op.Type == harness.OK || op.Type == harness.Fail {
			op.Return = at
		}
	}
	slices.SortFunc(h.Operations, func(a, b harness.Operation) int { return a.Call - b.Call })
	return h
}

func TestTasks(t *testing.T) {
	const ok, fail, info = harness.OK, harness.Fail, harness.Info
	submit := step{0, ok, "submit", 1, 0, 0, 0.1}
	first := step{1, ok, "take", 1, 1, 1, 1.1}
	again := step{2, ok, "take", 1, 2, 3.2, 3.3}
	done := step{2, ok, "finish", 1, 2, 3.4, 3.5}
	empty := step{3, ok, "read", 0, 0, 9, 9.1}
	for _, row := range []struct {
		name  string
		steps []step
		want  harness.Validity
		found string
	}{
		{"done at once", []step{submit, first, {1, ok, "finish", 1, 1, 1.2, 1.3}, empty}, harness.Valid, ""},
		{"given to another when the lease was over", []step{submit, first, again, done, empty}, harness.Valid, ""},
		{"the first comes back too late", []step{submit, first, again, {1, fail, "finish", 1, 1, 3.4, 3.5}, {2, ok, "finish", 1, 2, 3.6, 3.7}, empty}, harness.Valid, ""},
		{"kept by a heartbeat", []step{submit, first, {1, ok, "beat", 1, 1, 2, 2.1}, {2, ok, "take", 1, 2, 3.9, 4.05}, {2, ok, "finish", 1, 2, 5, 5.1}, empty}, harness.Valid, ""},
		{"a finish that nobody knows of did it", []step{submit, first, {1, info, "finish", 1, 1, 1.2, 2}, empty}, harness.Unknown, ""},
		{"the lease lasted longer", []step{submit, first, {1, ok, "finish", 1, 1, 7, 7.1}, empty}, harness.Valid, ""},
		{"finish and take at once: the take was first, and its lease is short", []step{submit, first, {2, info, "take", 0, 0, 3, 4}, {1, ok, "finish", 1, 1, 3, 4}, empty}, harness.Valid, ""},
		{"after another", []step{submit, {0, ok, "submit", 2, 1, 0.2, 0.3}, first, {1, ok, "finish", 1, 1, 1.2, 2}, {2, ok, "take", 2, 2, 1.9, 1.95}, {2, ok, "finish", 2, 2, 2.1, 2.2}, empty}, harness.Valid, ""},
		{"after another, whose end nobody knows", []step{submit, {0, ok, "submit", 2, 1, 0.2, 0.3}, first, {1, info, "finish", 1, 1, 1.2, 2}, {2, ok, "take", 2, 2, 5, 5.1}, {2, ok, "finish", 2, 2, 5.2, 5.3}, empty}, harness.Valid, ""},
		{"a failed submission is nowhere", []step{submit, {0, fail, "submit", 2, 0, 0.2, 0.3}, first, {1, ok, "finish", 1, 1, 1.2, 1.3}, empty}, harness.Valid, ""},
		{"not drained", []step{submit, {0, ok, "submit", 2, 0, 0.2, 0.3}, first, {1, ok, "finish", 1, 1, 1.2, 1.3}}, harness.Unknown, "undrained"},
		{"nothing done", []step{submit, {3, ok, "read", 1, 0, 9, 9.1}}, harness.Unknown, "undrained"},

		{"finished twice", []step{submit, first, again, done, {1, ok, "finish", 1, 1, 3.6, 3.7}, empty}, harness.Invalid, "finished-twice finished-with-old-token"},
		{"finished twice with one token", []step{submit, first, {1, ok, "finish", 1, 1, 1.2, 1.3}, {1, ok, "finish", 1, 1, 1.4, 1.5}, empty}, harness.Invalid, "finished-twice"},
		{"finished after another got it", []step{submit, first, again, {1, ok, "finish", 1, 1, 3.4, 3.5}, empty}, harness.Invalid, "finished-with-old-token"},
		{"finished while another got it", []step{submit, first, again, {1, ok, "finish", 1, 1, 3.1, 3.5}, empty}, harness.Invalid, "finished-with-old-token"},
		{"given after it was finished", []step{submit, first, {1, ok, "finish", 1, 1, 1.2, 1.3}, again, empty}, harness.Invalid, "given-after-finish"},
		{"given away early", []step{submit, first, {2, ok, "take", 1, 2, 2.9, 2.99}, done, empty}, harness.Invalid, "requeued-early"},
		{"given away in spite of a heartbeat", []step{submit, first, {1, ok, "beat", 1, 1, 2, 2.1}, again, done, empty}, harness.Invalid, "requeued-early"},
		{"a heartbeat by an old token", []step{submit, first, again, {1, ok, "beat", 1, 1, 3.35, 3.4}, {2, ok, "finish", 1, 2, 5.5, 5.6}, empty}, harness.Invalid, "kept-by-old-token requeued-early"},
		{"a heartbeat of what is finished", []step{submit, first, {1, ok, "finish", 1, 1, 1.2, 1.3}, {1, ok, "beat", 1, 1, 1.4, 1.5}, empty}, harness.Invalid, "kept-by-old-token"},
		{"one token for two", []step{submit, {0, ok, "submit", 2, 0, 0.2, 0.3}, first, {2, ok, "take", 2, 1, 1, 1.2}, {1, ok, "finish", 1, 1, 1.3, 1.4}, {2, ok, "finish", 2, 1, 1.3, 1.4}, empty}, harness.Invalid, "token-not-larger"},
		{"a smaller token", []step{submit, {0, ok, "submit", 2, 0, 0.2, 0.3}, {2, ok, "take", 2, 7, 0.4, 0.5}, first, {1, ok, "finish", 1, 1, 1.3, 1.4}, {2, ok, "finish", 2, 7, 1.3, 1.4}, empty}, harness.Invalid, "token-not-larger"},
		{"given before the other was done", []step{submit, {0, ok, "submit", 2, 1, 0.2, 0.3}, first, {2, ok, "take", 2, 2, 1.2, 1.3}, {1, ok, "finish", 1, 1, 1.4, 1.5}, {2, ok, "finish", 2, 2, 1.6, 1.7}, empty}, harness.Invalid, "dependency-broken"},
		{"given though the other was never done", []step{submit, {0, ok, "submit", 2, 1, 0.2, 0.3}, first, {2, ok, "take", 2, 2, 1.2, 1.3}, {1, fail, "finish", 1, 1, 1.1, 1.15}, {2, ok, "finish", 2, 2, 1.6, 1.7}, {3, ok, "read", 1, 0, 9, 9.1}}, harness.Invalid, "dependency-broken undrained"},
		{"lost", []step{submit, {0, ok, "submit", 2, 0, 0.2, 0.3}, first, {1, ok, "finish", 1, 1, 1.2, 1.3}, empty}, harness.Invalid, "lost"},
		{"unfinished again", []step{submit, first, {1, ok, "finish", 1, 1, 1.2, 1.3}, {3, ok, "read", 1, 0, 9, 9.1}}, harness.Invalid, "unfinished-again"},
		{"from nowhere", []step{submit, first, {1, ok, "finish", 1, 1, 1.2, 1.3}, {2, ok, "take", 9, 2, 1.4, 1.5}, empty}, harness.Invalid, "unexpected"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := testhistory.Check(t, invariants.Tasks{}, tasksHistory(row.steps))
			d := r.Details.(invariants.TaskDetails)
			var found []string
			for kind, n := range d.Numbers {
				if n > 0 {
					found = append(found, kind)
				}
			}
			slices.Sort(found)
			if got := strings.Join(found, " "); r.Valid != row.want || got != row.found {
				t.Fatalf("%v, found %q; expected %v, %q: %s %v", r.Valid, got, row.want, row.found, r.Summary, d)
			}
			if r.Valid == harness.Invalid && (r.Counterexample == nil || len(r.Counterexample.Story) < 2 || len(r.Counterexample.Witness) == 0) {
				t.Errorf("no story: %+v", r.Counterexample)
			}
		})
	}
	r := testhistory.Check(t, invariants.Tasks{}, tasksHistory([]step{submit, first, again, done, empty}))
	d := r.Details.(invariants.TaskDetails)
	// The lease was over at 3 s, and the worker was last heard at 1.1 s.
	if d.Again.Worst != 300*time.Millisecond || d.AgainSilent.Worst != 2200*time.Millisecond || d.First.Median != time.Second || d.Evenness != 0 && d.Evenness != 1 {
		t.Errorf("waits %+v", d)
	}
}

// A board that does everything right, with operations that overlap: each takes effect at a moment
// of its own between its beginning and its end, and some are never answered.
func TestTasksOfARightBoard(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		var steps []step
		type had struct {
			id, token int64
			process   int
		}
		type state struct {
			after, token int64
			until        float64
			done         bool
		}
		board, hands := map[int64]*state{}, []had{}
		token, id, now := int64(0), int64(0), 0.0
		for n := range 150 {
			now += r.Float64() * 0.3
			s := step{process: n, how: harness.OK, from: now - r.Float64()*0.2, to: now + r.Float64()*0.2}
			if r.IntN(10) == 0 {
				s.how = harness.Info
			}
			happens := s.how == harness.OK || r.IntN(2) == 0
			switch x := r.IntN(10); {
			case x < 3:
				id++
				s.f, s.task = "submit", id
				if id > 1 && board[id-1] != nil && r.IntN(2) == 0 {
					s.token = id - 1
				}
				if happens {
					board[id] = &state{after: s.token}
				}
			case x < 6:
				s.f = "take"
				for i := int64(1); happens && i <= id; i++ {
					b := board[i]
					if b == nil || b.done || b.after != 0 && !board[b.after].done || b.token != 0 && b.until > now {
						continue
					}
					token++
					b.token, b.until = token, now+taskLease.Seconds()
					if s.how == harness.OK {
						s.task, s.token = i, token
						hands = append(hands, had{i, token, n})
					}
					break
				}
			case len(hands) == 0:
				continue
			default:
				h := hands[r.IntN(len(hands))]
				s.f, s.task, s.token = "finish", h.id, h.token
				if r.IntN(2) == 0 {
					s.f = "beat"
				}
				switch b := board[h.id]; {
				case b.done || b.token != h.token || b.until <= now:
					s.how = harness.Fail
				case !happens:
				case s.f == "beat":
					b.until = now + taskLease.Seconds()
				default:
					b.done = true
				}
			}
			steps = append(steps, s)
		}
		res := testhistory.Check(t, invariants.Tasks{}, tasksHistory(steps))
		if res.Valid == harness.Invalid {
			t.Fatalf("seed %d: %s %v", seed, res.Summary, res.Counterexample.Story)
		}
	}
}
