package model

import (
	"encoding/json"
	"fmt"
	"time"

	"coup/harness"
)

// Produced is the input of put on a queue with acknowledgements.
type Produced struct {
	Message int64 `json:"message"`
	// Producer is whose messages are delivered in their order.
	Producer int64 `json:"producer"`
}

// String says what was put, e.g. "5 of producer 3".
func (p Produced) String() string { return fmt.Sprintf("%d of producer %d", p.Message, p.Producer) }

// Delivery is a message in the hands of a client: what deliver returns, nil if there was
// none to deliver; and what ack is given, without the time.
type Delivery struct {
	Message int64 `json:"message"`
	Token   int64 `json:"token"`
	// Within is the time in which the message must be acknowledged, counted from the
	// moment at which the client asked; as JSON in nanoseconds.
	Within time.Duration `json:"within,omitempty"`
}

// String says what is delivered, e.g. "5 by token 7".
func (d Delivery) String() string { return fmt.Sprintf("%d by token %d", d.Message, d.Token) }

// DecodeDeliveries is the [harness.Decoder] of queues with acknowledgements: put takes a
// [Produced]; deliver returns a [Delivery] or nil; ack takes a Delivery; waiting and dead
// return messages as []int64.
func DecodeDeliveries(t harness.Type, f string, raw json.RawMessage) (any, error) {
	return decode(t, f, raw, "a queue with acknowledgements", function{"put", aProduced, nothing}, function{"deliver", nothing, maybeDelivered},
		function{"ack", aDelivery, nothing}, function{"waiting", nothing, ints}, function{"dead", nothing, ints})
}

func aProduced(raw json.RawMessage) (any, error) {
	var j struct{ Message, Producer *int64 }
	if json.Unmarshal(raw, &j) != nil || j.Message == nil || j.Producer == nil {
		return nil, fmt.Errorf(`expected {"message": number, "producer": number}, not %s`, short(raw))
	}
	return Produced{*j.Message, *j.Producer}, nil
}

func aDelivery(raw json.RawMessage) (any, error) {
	var j struct {
		Message, Token *int64
		Within         time.Duration
	}
	if json.Unmarshal(raw, &j) != nil || j.Message == nil || j.Token == nil || j.Within < 0 {
		return nil, fmt.Errorf(`expected {"message": number, "token": number, "within": nanoseconds}, not %s`, short(raw))
	}
	return Delivery{*j.Message, *j.Token, j.Within}, nil
}

func maybeDelivered(raw json.RawMessage) (any, error) {
	if isNull(raw) {
		return nil, nil
	}
	return aDelivery(raw)
}

// Deliveries is how operations on a queue with acknowledgements are told; it has no Step.
func Deliveries() Model {
	return Model{Name: "deliveries", Decode: DecodeDeliveries, Text: func(op *harness.Operation) string {
		text := op.F
		if op.Input != nil {
			text += fmt.Sprintf(" %v", op.Input)
		}
		switch got := op.Output.(type) {
		case Delivery:
			return fmt.Sprintf("%s -> %v within %v", text, got, got.Within)
		case []int64:
			return text + " -> " + ListText(got)
		}
		if op.F == "deliver" && op.Type == harness.OK {
			return text + " -> nothing"
		}
		return text
	}}
}
