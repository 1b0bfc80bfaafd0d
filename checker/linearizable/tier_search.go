package linearizable

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync/atomic"

	"github.com/anishathalye/porcupine"

	"coup/checker/model"
	"coup/harness"
)

// searchTier lets porcupine decide whether the model explains ops, which belong to
// one object. Porcupine tries orders depth first and remembers which operations
// had taken effect in which state (Lowe 2017, after Wing and Gong 1993): it is
// exact, and exponential in time and memory where many operations are open at
// once. The answer is Unknown if b ends first.
//
// Porcupine can only be stopped by a timeout, and its memory has no bound. So it
// gets a second partition beside the real one. Its only operation, the watchman,
// waits until b ends and then fails, upon which porcupine stops all work. A last
// operation of the real partition, the bell, lets the watchman succeed once the
// rest is explained. A model that panics makes an error here, because porcupine
// runs it in a goroutine of its own, where a panic would end the process.
func searchTier(b context.Context, m model.Model, ops []*harness.Operation) (decision, bool, error) {
	v, err := porcupineSearch(b, m, ops)
	return decision{valid: v}, true, err
}

func porcupineSearch(b context.Context, m model.Model, ops []*harness.Operation) (harness.Validity, error) {
	type watchman struct{}
	type bell struct{}
	rung := make(chan struct{})
	seed := maphash.MakeSeed()

	end := int64(0)
	for i := range ops {
		end = max(end, int64(ops[i].Call)+1)
		if r := model.Returned(ops[i]); r != harness.Open {
			end = max(end, int64(r)+1)
		}
	}
	work := make([]porcupine.Operation, 0, len(ops)+1)
	for i := range ops {
		op := porcupine.Operation{Input: ops[i], Call: int64(ops[i].Call), Return: int64(model.Returned(ops[i]))}
		if model.Returned(ops[i]) == harness.Open {
			op.Return = end
		}
		work = append(work, op)
	}
	work = append(work, porcupine.Operation{Input: bell{}, Call: end + 1, Return: end + 2})

	// The allowance must end at the same step every time, though porcupine goes on for
	// a moment.
	a := allowanceOf(b)
	var stopped atomic.Bool
	var broken atomic.Pointer[error]
	answer := porcupine.CheckOperationsTimeout(porcupine.Model{
		Partition: func([]porcupine.Operation) [][]porcupine.Operation {
			return [][]porcupine.Operation{work, {{Input: watchman{}, Call: 0, Return: 1}}}
		},
		Init: func() any { return m.Init },
		StepContext: func(ctx context.Context, state, input, _ any) (ok bool, next any) {
			defer func() {
				if p := recover(); p != nil {
					err := fmt.Errorf("model %s: %v", m.Name, p)
					broken.CompareAndSwap(nil, &err)
					ok, next = false, state
				}
			}()
			switch in := input.(type) {
			case *harness.Operation:
				if a.overdrawn() {
					return false, state
				}
				a.spend(1)
				next, ok = m.Step(state, in)
				return ok, next
			case bell:
				close(rung)
				return true, state
			default:
				select {
				case <-rung:
					return true, state
				case <-ctx.Done():
					return true, state
				case <-b.Done():
					stopped.Store(true)
					return false, state
				}
			}
		},
		Hash: func(state any) uint64 { return maphash.Comparable(seed, state) },
	}, nil, 0)
	switch {
	case broken.Load() != nil:
		return harness.Unknown, *broken.Load()
	case a.overdrawn():
		return harness.Unknown, nil
	case answer == porcupine.Ok:
		return harness.Valid, nil
	case stopped.Load():
		return harness.Unknown, nil
	default:
		return harness.Invalid, nil
	}
}
