package harness

import (
	"math/rand/v2"
	"time"
)

// Moment is what a generator may know when it is asked: the time, who asks,
// and a source of randomness. All randomness of a run comes from here, so that
// a seed and an order of questions determine the operations.
type Moment struct {
	Time    time.Duration // since the start of the run
	Process int           // the process that is free to invoke
	Thread  int           // its place among Test.Concurrency; stays when the process is replaced
	Rand    *rand.Rand
}

// Generator says which operation is to be invoked next. A Generator is a plain
// value: it never changes, it returns its successor. So it can be tested,
// nested and copied without any cluster. Package gen holds the combinators.
type Generator interface {
	// Next returns an operation (F, Key, Value) for m.Process, and what follows
	// it. A nil Generator means that there is nothing left, and the operation
	// is ignored. An operation whose Time lies in the future is invoked then.
	// One with Due belongs to an open-loop load, see [Op].
	// An operation without F means "nothing for you now": the process is asked
	// again after the next completion, or at Op.Time if that is set.
	Next(m Moment) (Op, Generator)
	// Update returns the generator that follows the completion of op.
	Update(m Moment, op Op) Generator
}
