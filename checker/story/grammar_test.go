package story_test

import (
	"regexp"
	"testing"
	"time"

	"coup/checker/model"
	"coup/checker/story"
	"coup/harness"
)

// What no sentence has, whatever it is about.
var slips = []*regexp.Regexp{
	regexp.MustCompile(`  |^ | $|^[a-z]|[^.]$|\.\.$| [.,;:]|%!|<nil>`),
	regexp.MustCompile(`(?i)\b(the|an?) (the|an?|to|of|in|by|at|from)\b|\b(to|of|in|into|on|by|at|from) (to|of|in|into|by|at|from)\b`),
	regexp.MustCompile(`\b[Nn]o (the|nobody|no)\b`),
	regexp.MustCompile(`\b1 (acquires|releases|elements|times)\b|\b0 times\b|\b(one|no) [a-z-]+s (had|were)\b|\b[02-9] (acquire|release|permit|element|pop|dequeue|delete-min)\b`), // one and many
	regexp.MustCompile(`(^|\. |; )(By|From|At) [^,]* s -?\d`),                                                                                                                      // a time runs into a number
	regexp.MustCompile(`\bby the beginning\b|-1\b|\bits renew\b|\b[a-z]+-(queue|mutex|register)\b|\bkv\b`),
}

// Sentences read well whatever they are about: each claim, of each model that it can be
// about, with and without times, about one and about many.
func TestSentencesReadWell(t *testing.T) {
	const ms = time.Millisecond
	op := func(process int, f string, at int, in, out any) *harness.Operation {
		return &harness.Operation{Process: process, F: f, Input: in, Output: out, Type: harness.OK, Call: at, Return: at + 1,
			Start: time.Duration(at*at) * ms, End: time.Duration(at*at+3) * ms}
	}
	begin := &harness.Operation{Process: harness.Beginning, F: "write", Input: int64(3), Type: harness.OK, Call: 0, Return: 1}
	lease := func(token int64) any { return model.Grant{Token: model.Just(token), Lease: ms} }
	a, b := op(1, "read", 4, nil, model.Just(7)), op(2, "write", 8, int64(9), nil)
	acquire, renew, release := op(1, "acquire", 2, nil, lease(4)), op(1, "renew", 5, nil, lease(5)), op(2, "release", 9, nil, nil)
	list := op(3, "read", 12, nil, []int64{1, 2})
	low, high := op(3, "read", 12, nil, int64(1)), op(3, "read", 12, nil, int64(9))

	register, lock := []model.Model{model.Register()}, []model.Model{model.Lock()}
	queues := []model.Model{model.Queue(), model.Stack(), model.PriorityQueue(), model.Bag()}
	var claims []struct {
		of    []model.Model
		claim interface{ Text(story.Teller) string }
	}
	add := func(of []model.Model, all ...interface{ Text(story.Teller) string }) {
		for _, c := range all {
			claims = append(claims, struct {
				of    []model.Model
				claim interface{ Text(story.Teller) string }
			}{of, c})
		}
	}
	for n := range 3 {
		gone := story.Gone{Read: b, Saw: model.Just(7), Other: 9, By: a, Since: a, Failed: n}
		add(register, gone, story.Spent{Gone: gone, Seen: a})
		add(append(queues, model.Register(), model.Set(), model.List()), story.NotBegun{Value: 3, By: b, Failed: n})
		add(queues, story.TooOften{Value: 5, In: n, Out: n + 1, By: b, Failed: n},
			story.NotEmpty{Value: 5, Found: op(1, "pop", 3, nil, model.Maybe{}), Missing: n + 1, Open: n},
			story.Lost{Value: 5, Found: a, Missing: n + 1, Open: n})
		add(queues[:1], story.Overtaken{Value: 1, Other: 2, By: b, Failed: n})
		for _, from := range []*harness.Operation{nil, a} {
			for _, f := range []string{"acquire", "release"} {
				add([]model.Model{model.Mutex()}, story.Crowded{F: f, Did: n + 1, Other: n, Failed: n, From: from, To: b})
			}
		}
		add([]model.Model{model.Counter()}, story.Backward{First: high, Then: low, Failed: n})
	}
	atFirst := story.Gone{Read: b, Saw: model.Just(7), Other: 3, By: begin, Since: begin}
	add(register, story.Gone{Read: b, By: a}, atFirst, story.Spent{Gone: atFirst, Seen: begin},
		story.BothReplaced{Value: model.Just(3), Ops: [2]*harness.Operation{a, b}}, story.BothReplaced{Ops: [2]*harness.Operation{a, b}})
	add([]model.Model{model.Set(), model.List()}, story.Twice{Value: 2, Read: list}, story.Missing{Value: 4, Read: list, By: a},
		story.Missing{Value: 4, Read: list, By: begin, Again: list})
	add([]model.Model{model.Counter()}, story.Bounds{Read: low, Low: 3, High: 5}, story.Bounds{Read: high, Low: 3, High: 5})
	add(lock, story.NotHeld{Op: renew}, story.NotHeld{Op: release}, story.Tokens{First: acquire, Then: acquire}, story.Tokens{First: renew, Then: acquire},
		story.BothHeld{First: acquire, Then: renew}, story.HeldOn{First: acquire, Proof: renew, Then: release}, story.FirstUnexplained{Op: acquire})
	did := map[string][]model.Model{
		"read": {model.Register(), model.Set(), model.List(), model.Counter()}, "write": register, "get": {model.KV()}, "put": {model.KV()},
		"append": {model.List()}, "add": {model.Set(), model.Counter()}, "enqueue": {model.Queue(), model.Bag()}, "dequeue": {model.Queue(), model.Bag()},
		"push": {model.Stack()}, "pop": {model.Stack()}, "insert": {model.PriorityQueue()}, "delete-min": {model.PriorityQueue()},
		"acquire": {model.Mutex(), model.Lock(), model.ReentrantMutex(2)}, "release": {model.Mutex(), model.Lock(), model.ReentrantMutex(2)}, "renew": lock,
	}
	for f, of := range did {
		done := op(1, f, 3, nil, nil)
		switch f {
		case "put":
			done.Input = "x"
		case "write", "append", "add", "enqueue", "push", "insert":
			done.Input = int64(4)
		case "read":
			done.Output = model.Just(4)
		case "dequeue", "pop", "delete-min":
			done.Output = model.Maybe{}
		case "get":
			done.Output = "x"
		}
		open, failed := *done, *done
		open.Type, open.Output, open.Return = harness.Info, nil, harness.Open
		failed.Type, failed.Output = harness.Fail, nil
		add(of, story.Did{Op: done}, story.Did{Op: &open, Before: begin}, story.Did{Op: &failed, Before: a}, story.Did{Op: done, Late: true})
	}
	for _, c := range claims {
		for _, m := range c.of {
			for _, timed := range []bool{true, false} {
				text := c.claim.Text(story.Teller{Model: m, Timed: timed})
				for _, slip := range slips {
					if found := slip.FindString(text); found != "" {
						t.Errorf("%T of a %s: %q in %q", c.claim, m.Name, found, text)
					}
				}
			}
		}
	}

	timed := func(m model.Model) story.Teller { return story.Teller{Model: m, Timed: true} }
	for _, c := range []struct{ got, want string }{
		{atFirst.Text(timed(model.Register())), "When process 2 began at 0.064 s, 7 was gone: 3 was there at the beginning, and from the beginning to 0.067 s nobody was writing 7 to the register."},
		{story.TooOften{Value: 5, In: 1, Out: 2, By: b}.Text(timed(model.Stack())), "By 0.067 s, 5 had come out 2 times, and nobody had begun to put it in more than once."},
		{story.Crowded{F: "acquire", Did: 2, Other: 0, From: a, To: b}.Text(timed(model.Mutex())), "From 0.016 s to 0.067 s, 2 acquires began and succeeded, while no release was under way; one has to come between any two of them."},
		{story.NotHeld{Op: renew}.Text(timed(model.Lock())), "Process 1 did not hold the lock when its renewal at 0.028 s succeeded."},
		{story.Did{Op: op(1, "insert", 3, int64(4), nil)}.Text(timed(model.PriorityQueue())), "At 0.009 s process 1 inserted 4 into the priority queue, acknowledged at 0.012 s."},
	} {
		if c.got != c.want {
			t.Errorf("told %q, expected %q", c.got, c.want)
		}
	}
	for n, want := range map[string]string{"mutex": "2 mutexes", "key": "2 keys", "query": "2 queries", "box": "2 boxes", "loss": "2 losses", "branch": "2 branches", "read": "2 reads"} {
		if got := story.Plural(2, n); got != want {
			t.Errorf("%q, expected %q", got, want)
		}
	}
}
