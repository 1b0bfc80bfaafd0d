package linearizable

import (
	"context"
	"fmt"

	"coup/checker/clusters"
	"coup/checker/model"
	"coup/harness"
)

// decision is what a tier found out about the history of one object.
type decision struct {
	valid harness.Validity
	tier  string
	// order is the proof of valid: the operations that took effect, as indexes
	// into the history, in an order that explains all answers.
	order []int32
	// proof is the proof of invalid: operations, as indexes into the history,
	// that cannot be explained even without the others.
	proof []int32
	// until, if it is not 0, is the first return by which the proof fails.
	until int
	// explained is how many completed operations, in the order of their
	// returns, were explained before the decision was given up.
	explained int
}

// none stands for no operation, no cluster and the like.
const none = clusters.None

// A tier decides histories of one object, or says that it cannot (ok is
// false). Its operations are in the order of their invocations; none failed,
// and those that are open may be of any type but ok.
type tier struct {
	name   string
	decide func(b context.Context, m model.Model, ops []*harness.Operation) (d decision, ok bool, err error)
}

var tiers = []tier{
	{"zones", zonesTier},
	{"fifo", fifoTier},
	{"lifo", lifoTier},
	{"bag", bagTier},
	{"priority", priorityTier},
	{"turns", turnsTier},
	{"holds", holdsTier},
	{"inclusion", inclusionTier},
	{"prefix", prefixTier},
	{"appends", appendsTier},
	{"bounds", boundsTier},
	{"just-in-time", justInTimeTier},
	{"search", searchTier},
}

// Decide says whether the model explains operations on one object, which come in
// the order of their calls, none of which failed. It is what [Checker] asks of
// each object, without a counterexample. ctx bounds how long it may take; what was
// not decided by then is unknown.
func Decide(ctx context.Context, m model.Model, ops []*harness.Operation) (harness.Validity, error) {
	d, err := decide(ctx, m, ops)
	return d.valid, err
}

// decide asks the tiers in turn, the cheap ones first. What a tier calls valid
// is replayed before it is believed.
func decide(b context.Context, m model.Model, ops []*harness.Operation) (decision, error) {
	explained := 0
	for _, t := range tiers {
		if b.Err() != nil {
			break
		}
		d, ok, err := t.ask(b, m, ops)
		if err != nil {
			return decision{valid: harness.Unknown}, err
		}
		explained = max(explained, d.explained)
		if !ok {
			continue
		}
		d.tier, d.explained = t.name, explained
		if d.valid == harness.Valid && d.order != nil {
			if err := verify(m, ops, d.order); err != nil {
				return decision{valid: harness.Unknown}, fmt.Errorf("the tier %s called a history valid by an order that does not explain it: %w", t.name, err)
			}
		}
		return d, nil
	}
	return decision{valid: harness.Unknown, explained: explained}, nil
}

// ask lets the tier decide. A model that panics makes an error.
func (t tier) ask(b context.Context, m model.Model, ops []*harness.Operation) (d decision, ok bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the tier %s, model %s: %v", t.name, m.Name, p)
		}
	}()
	return t.decide(b, m, ops)
}
