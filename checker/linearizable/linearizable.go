package linearizable

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"time"

	"coup/checker/model"
	"coup/checker/story"
	"coup/harness"
)

// Checker checks that every operation took effect at one moment between
// its invocation and its completion (Herlihy and Wing 1990), for each key by
// itself, which is the same as for all together. Operations that failed did
// not happen; those that ended info may have taken effect at any moment since,
// or never. Its Details are [Details].
type Checker struct {
	Model model.Model

	// Timeout bounds the whole check; zero: a minute. A key that is not decided
	// by then is unknown, and so is the verdict, unless another key shows a
	// violation. Once one does, the others get no more than as much time again
	// and half of what is left; making the counterexample small gets the rest,
	// but no more than work of a few seconds.
	Timeout time.Duration
	// MemoryBytes bounds what the heap of the process grows by while checking;
	// zero: 1 GiB. Searches that run when it is reached are given up.
	MemoryBytes uint64
	// Brief leaves out of a counterexample which answer is the first that nothing
	// explains. To find it can take as long as the check.
	Brief bool
}

// Details are the Details of [Checker].
type Details struct {
	Model   string       `json:"model"`
	Keys    int          `json:"keys"`    // objects that were judged
	Valid   int          `json:"valid"`   // of them explained
	Tiers   []TierCount  `json:"tiers"`   // what decided them
	Invalid []string     `json:"invalid"` // keys that cannot be explained
	Unknown []UnknownKey `json:"unknown"` // keys that could not be decided
	// Confirmed says that porcupine cannot explain the counterexample either.
	Confirmed bool `json:"confirmed,omitempty"`
}

// TierCount says how many objects a tier decided.
type TierCount struct {
	Tier string `json:"tier"`
	Keys int    `json:"keys"`
}

// UnknownKey is an object that could not be decided.
type UnknownKey struct {
	Key        string `json:"key"`
	Operations int    `json:"operations"`
	Explained  int    `json:"explained"` // so many completed operations can be explained, in the order of their ends
	Reason     string `json:"reason"`
}

// Name implements [harness.Checker].
func (l Checker) Name() string { return "linearizable" }

// keyed is the history of one object and what was found.
type keyed struct {
	model.Object
	decision
	reason string // why it is unknown
	work   int64  // that it took to decide, as for an allowance
}

// keysOf are the objects of a history, none of them decided.
func keysOf(m model.Model, ops []harness.Operation) []*keyed {
	var keys []*keyed
	for _, o := range m.Partition(ops) {
		keys = append(keys, &keyed{Object: o, decision: decision{valid: harness.Unknown}, reason: outOfTime.Error()})
	}
	return keys
}

// Check implements [harness.Checker]. Keys are judged in parallel, small ones
// first, each with a fair share of the time that is left; those that ran out
// of their share get another turn with all that the others left over.
func (l Checker) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	r := harness.Result{Checker: l.Name()}
	if l.Model.Step == nil {
		return r, errors.New("linearizable: no model was given")
	}
	timeout, memory := l.Timeout, l.MemoryBytes
	if timeout <= 0 {
		timeout = time.Minute
	}
	if memory == 0 {
		memory = 1 << 30
	}
	deadline := time.Now().Add(timeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := l.Model.CheckTypes(h.Operations); err != nil {
		return r, err
	}
	keys := keysOf(l.Model, h.Operations)
	g := newGuard(memory)
	defer g.close()

	todo := slices.Clone(keys)
	slices.SortStableFunc(todo, func(a, b *keyed) int { return cmp.Compare(len(a.Ops), len(b.Ops)) })
	for turn := 0; turn < 2 && len(todo) > 0 && time.Now().Before(deadline); turn++ {
		if err := l.judge(ctx, g, todo, deadline); err != nil {
			return r, err
		}
		todo = slices.DeleteFunc(todo, func(k *keyed) bool {
			return k.valid != harness.Unknown || k.reason != outOfTime.Error()
		})
	}

	d := Details{Model: l.Model.Name, Keys: len(keys), Tiers: []TierCount{}, Invalid: []string{}, Unknown: []UnknownKey{}}
	verdicts := make([]harness.Validity, len(keys))
	var worst *keyed // of the keys that cannot be explained, the one with the shortest history
	for i, k := range keys {
		verdicts[i] = k.valid
		switch k.valid {
		case harness.Valid:
			d.Valid++
		case harness.Unknown:
			d.Unknown = append(d.Unknown, UnknownKey{Key: k.Key, Operations: len(k.Ops), Explained: k.explained, Reason: k.reason})
		case harness.Invalid:
			d.Invalid = append(d.Invalid, k.Key)
			if worst == nil || len(k.Ops) < len(worst.Ops) {
				worst = k
			}
		}
	}
	for _, t := range tiers {
		c := TierCount{Tier: t.name}
		for _, k := range keys {
			if k.tier == t.name {
				c.Keys++
			}
		}
		if c.Keys > 0 {
			d.Tiers = append(d.Tiers, c)
		}
	}
	r.Valid = harness.Worst(verdicts...)
	r.Details = d
	r.Summary = d.summary(l.Model, performed(h.Operations))
	if worst != nil {
		ctx, cancel := context.WithDeadline(ctx, deadline)
		defer cancel()
		bound := g.start(ctx, unhurried)
		defer bound.end()
		var first *harness.Operation
		if !l.Brief {
			first, worst = firstBad(bound, l.Model, worst)
		}
		small, models := l.shrink(ctx, g, worst)
		b, work := allow(bound, attemptWork)
		defer work.end()
		d.Confirmed = true
		for _, m := range models {
			confirmed, err := porcupineSearch(b, m, model.Pointers(small))
			if err != nil || confirmed == harness.Valid {
				return r, fmt.Errorf("the tier %s calls the history of %q invalid, but porcupine explains its proof (%v)", worst.tier, worst.Key, err)
			}
			d.Confirmed = d.Confirmed && confirmed == harness.Invalid
		}
		r.Details = d
		r.Counterexample = tell(l.Model, worst.Key, excerpt{
			ops: small, whole: l.Model.Whole(h.Operations, worst.Key), anyState: len(models) > 1, first: first,
		})
	}
	return r, nil
}

func (d Details) summary(m model.Model, n int) string {
	object := story.Noun(m)
	if m.Kind == model.KVKind {
		object = "key" // each is an object by itself
	}
	objects := story.Plural(d.Keys, object)
	var unknown []string
	for _, u := range d.Unknown {
		unknown = append(unknown, u.Key)
	}
	switch {
	case len(d.Invalid) > 0:
		s := "Not linearizable: no order of its operations explains what was answered"
		if d.Keys > 1 || d.Invalid[0] != "" {
			s += fmt.Sprintf(" for %s (%d of %s)", story.List(d.Invalid), len(d.Invalid), objects)
		}
		if len(unknown) > 0 {
			s += fmt.Sprintf("; %s could not be decided, because %s", story.List(unknown), d.Unknown[0].Reason)
		}
		return s + "."
	case len(unknown) > 0:
		s := "Nobody knows whether it is linearizable: "
		if d.Keys == 1 && unknown[0] == "" {
			return s + fmt.Sprintf("it could not be decided, because %s.", d.Unknown[0].Reason)
		}
		return s + fmt.Sprintf("%s (%d of %s) could not be decided, because %s.", story.List(unknown), len(unknown), objects, d.Unknown[0].Reason)
	case n == 0:
		return "Linearizable, but no operation was performed."
	default:
		return fmt.Sprintf("Linearizable: %s, %s.", story.Plural(n, "operation"), objects)
	}
}

// performed counts the operations that somebody performed.
func performed(ops []harness.Operation) (n int) {
	for i := range ops {
		if ops[i].Process != harness.Beginning {
			n++
		}
	}
	return n
}

// judge decides the keys in todo, at most GOMAXPROCS at a time.
func (l Checker) judge(ctx context.Context, g *guard, todo []*keyed, deadline time.Time) error {
	workers := min(runtime.GOMAXPROCS(0), len(todo))
	began := time.Now()
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	var (
		found  *time.Timer // since a violation was found
		mu     sync.Mutex
		next   int
		broken error
		wg     sync.WaitGroup
	)
	for range workers {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				stop := broken != nil
				mu.Unlock()
				if i >= len(todo) || stop {
					return
				}
				rounds := (len(todo) - i + workers - 1) / workers
				b := g.start(ctx, time.Until(deadline)/time.Duration(rounds))
				counted, work := allow(b, math.MaxInt64)
				d, err := decide(counted, l.Model, todo[i].Ops)
				todo[i].work = math.MaxInt64 - work.left.Load()
				work.end()
				d.order = nil // it was replayed; its memory serves others better
				todo[i].decision, todo[i].reason = d, ""
				if d.valid == harness.Unknown {
					todo[i].reason = b.reason()
				}
				b.end()
				mu.Lock()
				broken = cmp.Or(broken, err)
				if d.valid == harness.Invalid && found == nil {
					patience := min(max(time.Second, time.Since(began)), time.Until(deadline)/2)
					found = time.AfterFunc(patience, func() { giveUp(elsewhere) })
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if found != nil {
		found.Stop()
	}
	return broken
}
