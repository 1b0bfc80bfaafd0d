package invariants

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"coup/checker/model"
	"coup/checker/story"
	"coup/harness"
)

// Deliveries judges queues whose messages are acknowledged by whoever got them. Tokens
// put the deliveries of a queue into one order, so that pairs of operations decide, as
// for [Tasks]. It looks for
//
//   - delivered-after-ack: a message was delivered after its acknowledgement was confirmed;
//   - acked-twice: two acknowledgements of a message were confirmed;
//   - acked-by-old-delivery: an acknowledgement was confirmed, though the message had been
//     delivered again by then;
//   - redelivered-early: a message was delivered again before the time to acknowledge it could
//     be over, counted from the moment at which the client asked for it;
//   - out-of-order: a message was delivered, though one that its producer had put before
//     was delivered or acknowledged later;
//   - too-often: a message was delivered more often than it may be;
//   - dead-too-early, dead-though-acked: a message is a dead letter that cannot have been
//     delivered so often, or whose acknowledgement was confirmed;
//   - token-not-larger: as for [Tasks];
//   - lost: a message was put, and is neither acknowledged, nor waiting, nor dead in the end;
//   - unexpected: a message was delivered that nobody had put.
//
// If a queue was not seen to be empty in the end, the verdict is unknown. Details are
// [DeliveryDetails].
type Deliveries struct {
	// Most is how often a message is delivered before it is a dead letter.
	Most int
}

// DeliveryDetails are the Details of [Deliveries]. Times are in nanoseconds.
type DeliveryDetails struct {
	Details
	// First is how long messages waited until they were first delivered, from the answer to
	// put on; and Again until they were delivered again, once their time was over.
	First Waits `json:"first"`
	Again Waits `json:"again"`
}

// Name implements [harness.Checker].
func (Deliveries) Name() string { return "deliveries" }

var deliveryKinds = []string{
	"acked-twice", "acked-by-old-delivery", "delivered-after-ack", "redelivered-early", "out-of-order", "token-not-larger",
	"lost", "dead-though-acked", "dead-too-early", "too-often", "unexpected",
}

// parcel is what is known of one message.
type parcel struct {
	id    int64
	put   *harness.Operation
	given []*harness.Operation // by their tokens
	acks  []*harness.Operation // that may have happened
	dead  *harness.Operation   // a look that shows it among the dead letters
}

// postbox is all of one key.
type postbox struct {
	key     string
	parcels map[int64]*parcel
	order   []*parcel
	given   []*harness.Operation
	unknown int                  // deliveries of which nobody knows what was delivered
	looks   []*harness.Operation // at what waits
	dead    []*harness.Operation // looks at the dead letters
	put     int                  // the position at which the last put was over
}

func (b *postbox) parcel(id int64) *parcel {
	p := b.parcels[id]
	if p == nil {
		p = &parcel{id: id}
		b.parcels[id] = p
		b.order = append(b.order, p)
	}
	return p
}

// Check implements [harness.Checker].
func (d Deliveries) Check(_ context.Context, h *harness.History) (harness.Result, error) {
	err := check(h, "a queue with acknowledgements", func(op *harness.Operation) (fits bool) {
		switch op.F {
		case "put":
			_, fits = op.Input.(model.Produced)
		case "deliver":
			_, fits = op.Output.(model.Delivery)
			fits = fits || op.Output == nil
		case "ack":
			_, fits = op.Input.(model.Delivery)
		case "waiting", "dead":
			_, fits = op.Output.([]int64)
			fits = fits || op.Type != harness.OK
		}
		return fits
	})
	if err != nil {
		return harness.Result{Checker: d.Name()}, err
	}
	a := deliveryAnalysis{findings: find(model.Deliveries(), h, deliveryKinds...), most: d.Most}
	a.allow("undrained")
	for _, b := range postboxesOf(h) {
		a.judge(b)
	}
	r := a.result(d.Name(), "Messages went wrong", fmt.Sprintf("%s acknowledged once, %d of them delivered again before, and %d dead letters; each producer's in their order.",
		story.Plural(a.Counts["acknowledged"], "message"), a.Counts["delivered-again"], a.Counts["dead"]))
	r.Details = DeliveryDetails{a.Details, waitsOf(a.first), waitsOf(a.again)}
	if n := a.Numbers["undrained"]; r.Valid == harness.Valid && n > 0 {
		r.Valid, r.Summary = harness.Unknown, fmt.Sprintf("Nobody knows what became of %s: the queue was not seen to be empty in the end.", story.Plural(n, "message"))
	}
	if r.Valid == harness.Valid && a.Counts["acknowledged"] == 0 {
		r.Valid, r.Summary = harness.Unknown, "No message was acknowledged."
	}
	return r, nil
}

func postboxesOf(h *harness.History) (all []*postbox) {
	byKey := map[string]*postbox{}
	for i := range h.Operations {
		op := &h.Operations[i]
		b := byKey[op.Key]
		if b == nil {
			b = &postbox{key: op.Key, parcels: map[int64]*parcel{}}
			byKey[op.Key] = b
			all = append(all, b)
		}
		if op.Type == harness.Fail {
			continue
		}
		ok := op.Type == harness.OK
		switch op.F {
		case "put":
			b.parcel(op.Input.(model.Produced).Message).put = op
			if b.put = max(b.put, op.Call); ok {
				b.put = max(b.put, op.Return)
			}
		case "deliver":
			if got, some := op.Output.(model.Delivery); some {
				b.given = append(b.given, op)
				b.parcel(got.Message).given = append(b.parcel(got.Message).given, op)
			} else if !ok {
				b.unknown++
			}
		case "ack":
			p := b.parcel(op.Input.(model.Delivery).Message)
			p.acks = append(p.acks, op)
		case "waiting":
			if ok {
				b.looks = append(b.looks, op)
			}
		case "dead":
			if ok {
				b.dead = append(b.dead, op)
				for _, id := range op.Output.([]int64) {
					b.parcel(id).dead = op
				}
			}
		}
	}
	for _, b := range all {
		for _, p := range b.order {
			slices.SortStableFunc(p.given, func(x, y *harness.Operation) int { return cmp.Compare(tokenOf(x), tokenOf(y)) })
		}
	}
	return all
}

type deliveryAnalysis struct {
	*findings
	most         int
	first, again []time.Duration
}

func (a *deliveryAnalysis) judge(b *postbox) {
	a.tokens(b.key, b.given)
	for _, p := range b.order {
		a.passed(b, p)
		a.acknowledged(b, p)
		a.fate(b, p)
	}
	a.ordered(b)
}

// acknowledged looks at who acknowledged a message, and who got it later.
func (a *deliveryAnalysis) acknowledged(b *postbox, p *parcel) {
	var done *harness.Operation
	for _, ack := range p.acks {
		if ack.Type != harness.OK {
			continue
		}
		if done != nil {
			a.add("acked-twice", b.key, fmt.Sprintf("Processes %d and %d were both told that they have acknowledged message %d.", done.Process, ack.Process, p.id), done, ack)
		}
		if done == nil || ack.Return < done.Return {
			done = ack
		}
		if n := len(p.given); n > 0 {
			if last := p.given[n-1]; tokenOf(last) > tokenOf(ack) && last.Call <= ack.Return {
				a.add("acked-by-old-delivery", b.key, fmt.Sprintf("Process %d acknowledged message %d by token %d, though it was delivered to process %d by token %d.", ack.Process, p.id, tokenOf(ack), last.Process, tokenOf(last)), last, ack)
			}
		}
	}
	if done == nil {
		return
	}
	a.Counts["acknowledged"]++
	if p.dead != nil {
		a.add("dead-though-acked", b.key, fmt.Sprintf("Message %d is a dead letter, though process %d had acknowledged it.", p.id, done.Process), done, p.dead)
	}
	for _, g := range p.given {
		if g.Call > done.Return {
			a.add("delivered-after-ack", b.key, fmt.Sprintf("Message %d was delivered to process %d, though process %d had acknowledged it.", p.id, g.Process, done.Process), done, g)
			break
		}
	}
}

// passed looks at each delivery of a message after the one before.
func (a *deliveryAnalysis) passed(b *postbox, p *parcel) {
	if n := len(p.given); n > 0 {
		a.Counts["deliveries"] += n
		if n > 1 {
			a.Counts["delivered-again"]++
		}
		if p.put != nil && p.put.Type == harness.OK {
			a.first = append(a.first, max(0, p.given[0].End-p.put.End))
		}
		if n > a.most {
			a.add("too-often", b.key, fmt.Sprintf("Message %d was delivered %s, and %d are the most.", p.id, story.Times(n), a.most), p.given...)
		}
	}
	for i := 1; i < len(p.given); i++ {
		old, now := p.given[i-1], p.given[i]
		until := old.Start + old.Output.(model.Delivery).Within
		if tokenOf(old) == tokenOf(now) {
			continue
		}
		if now.End < until {
			a.add("redelivered-early", b.key, fmt.Sprintf("Message %d was delivered to process %d %s before the time of process %d was over.", p.id, now.Process, story.Seconds(until-now.End), old.Process), old, now)
			continue
		}
		a.again = append(a.again, now.End-until)
	}
}

// ordered looks whether each producer's messages were delivered in their order: while one
// is neither acknowledged nor dead, none that was put later is delivered.
func (a *deliveryAnalysis) ordered(b *postbox) {
	of := map[int64][]*parcel{}
	for _, p := range b.order {
		if p.put != nil {
			producer := p.put.Input.(model.Produced).Producer
			of[producer] = append(of[producer], p)
		}
	}
	for _, all := range of {
		slices.SortFunc(all, func(x, y *parcel) int { return cmp.Compare(x.put.Call, y.put.Call) })
		// From the last message to the first: the delivery that ended first of all that come later.
		var early *harness.Operation
		for i := len(all) - 1; i >= 0; i-- {
			p := all[i]
			if i+1 < len(all) && p.put.Return < all[i+1].put.Call {
				for _, g := range all[i+1].given {
					if early == nil || g.Return < early.Return {
						early = g
					}
				}
			} else {
				early = nil // puts that overlap have no order
			}
			if early == nil {
				continue
			}
			for _, late := range append(slices.Clip(p.given), p.acks...) {
				if late.Type == harness.OK && late.Call > early.Return {
					a.add("out-of-order", b.key, fmt.Sprintf("Message %d was delivered to process %d, though message %d, which its producer had put before, was not done with.", early.Output.(model.Delivery).Message, early.Process, p.id), early, late, p.put)
					break
				}
			}
		}
	}
}

// fate looks what became of a message.
func (a *deliveryAnalysis) fate(b *postbox, p *parcel) {
	if p.put == nil {
		if len(p.given) > 0 {
			a.add("unexpected", b.key, fmt.Sprintf("Process %d was given message %d, which nobody has put.", p.given[0].Process, p.id), p.given[0])
		}
		return
	}
	if p.dead != nil {
		a.Counts["dead"]++
		if len(p.given)+b.unknown < a.most {
			a.add("dead-too-early", b.key, fmt.Sprintf("Message %d is a dead letter, and was delivered %s at most.", p.id, story.Times(len(p.given)+b.unknown)), p.put, p.dead)
		}
	}
	if p.put.Type != harness.OK {
		return
	}
	a.Counts["put"]++
	if len(p.acks) > 0 || p.dead != nil {
		return
	}
	// It is lost if it does not wait, and is not dead afterwards.
	for _, look := range b.looks {
		if look.Call < b.put || slices.Contains(look.Output.([]int64), p.id) {
			continue
		}
		for _, dead := range b.dead {
			if dead.Call > look.Return {
				a.add("lost", b.key, fmt.Sprintf("Message %d was put and never acknowledged; in the end it neither waits nor is it a dead letter.", p.id), p.put, look, dead)
				return
			}
		}
	}
	a.add("undrained", b.key, fmt.Sprintf("Message %d was put, and nobody knows what became of it.", p.id))
}
