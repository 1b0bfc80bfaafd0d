package linearizable

import (
	"context"
	"sync/atomic"
)

// allowance is how much work a search may do, in steps of some microseconds each.
// Unlike time, it is the same on every machine, and so is what was found when it
// is used up. It lasts as long as its context.
type allowance struct {
	left   atomic.Int64
	above  *allowance // of which it is a part
	cancel context.CancelCauseFunc
}

type allowanceKey struct{}

// allow gives a search so much work, as part of what b allows. It must be ended.
func allow(b context.Context, work int64) (context.Context, *allowance) {
	a := &allowance{above: allowanceOf(b)}
	a.left.Store(work)
	b, a.cancel = context.WithCancelCause(b)
	return context.WithValue(b, allowanceKey{}, a), a
}

// allowanceOf is what b allows; nil: no work is counted.
func allowanceOf(b context.Context) *allowance {
	a, _ := b.Value(allowanceKey{}).(*allowance)
	return a
}

// spend notes that work was done. With more than was allowed the context ends.
func (a *allowance) spend(work int64) {
	for ; a != nil; a = a.above {
		if a.left.Add(-work) < 0 {
			a.cancel(outOfWork)
		}
	}
}

// overdrawn says whether more was done than was allowed.
func (a *allowance) overdrawn() bool {
	for ; a != nil; a = a.above {
		if a.left.Load() < 0 {
			return true
		}
	}
	return false
}

func (a *allowance) end() { a.cancel(nil) }
