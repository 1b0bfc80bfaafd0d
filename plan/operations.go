package plan

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"coup/harness"
	"coup/harness/gen"
	"coup/workloads"
)

// Operation is an entry of a plan's list of operations: what a client asks for,
// and when. A list takes the place of what the workload would draw.
type Operation struct {
	At     Duration `json:"at" yaml:"at"`         // since the start of the load; if the client still waits for an answer, after that
	Client int      `json:"client" yaml:"client"` // from 0; bound to node n1, n2, ... in turn
	F      string   `json:"f" yaml:"f"`
	Key    string   `json:"key,omitempty" yaml:"key,omitempty"`
	Value  Value    `json:"value,omitempty" yaml:"value,omitempty"` // as in history.jsonl
}

// Value is the value that an operation is invoked with, as JSON; "" for none. As text,
// values of two plans can be compared without a decoder.
type Value string

// MarshalJSON implements json.Marshaler.
func (v Value) MarshalJSON() ([]byte, error) { return []byte(cmp.Or(v, "null")), nil }

// UnmarshalJSON implements json.Unmarshaler.
func (v *Value) UnmarshalJSON(b []byte) error {
	var out bytes.Buffer
	err := json.Compact(&out, b)
	if *v = Value(out.String()); *v == "null" {
		*v = ""
	}
	return err
}

// MarshalYAML implements yaml.BytesMarshaler: JSON is YAML.
func (v Value) MarshalYAML() ([]byte, error) { return v.MarshalJSON() }

// UnmarshalYAML implements yaml.InterfaceUnmarshaler; see that of Duration.
func (v *Value) UnmarshalYAML(decode func(any) error) error {
	var value any
	if err := decode(&value); err != nil {
		return err
	}
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	if err := out.Encode(value); err != nil {
		return err
	}
	return v.UnmarshalJSON(b.Bytes())
}

// op is the operation in the form for clients, for a load that begins at from.
func (o Operation) op(w workloads.Workload, from time.Duration) (harness.Op, error) {
	op := harness.Op{Time: from + time.Duration(o.At), F: o.F, Key: o.Key}
	var err error
	op.Value, err = w.Decode(harness.Invoke, o.F, json.RawMessage(cmp.Or(o.Value, "null")))
	return op, err
}

// checkOperations says what is wrong with the plan's list of operations.
func (p *Plan) checkOperations() error {
	if len(p.Operations) == 0 {
		p.Operations = nil // an empty list asks for nothing, and would prove nothing
		return nil
	}
	w, err := workloads.Find(p.Workload)
	if err != nil {
		return err
	}
	for i, o := range p.Operations {
		_, err := o.op(w, 0)
		switch latest := p.Time + p.ServeWithin + Duration(healPatience); {
		case err != nil:
		case o.Client < 0 || o.Client >= p.Concurrency:
			err = fmt.Errorf("there are the clients 0 to %d (concurrency), not %d", p.Concurrency-1, o.Client)
		case o.At < 0 || o.At > latest:
			err = fmt.Errorf("it must begin between 0s and %s", latest)
		}
		if err != nil {
			return fmt.Errorf("operations, entry %d: %w", i+1, err)
		}
	}
	return nil
}

func (p Plan) workloadOptions() workloads.Options {
	return workloads.Options{Keys: p.Keys, OpsPerKey: p.OpsPerKey}
}

// Generator returns the operations of a load that begins at from: the listed ones, or
// else those that the workload draws.
func (p Plan) Generator(w workloads.Workload, from time.Duration) (harness.Generator, error) {
	if p.Operations == nil && p.Arrivals != "" {
		stages, err := p.stages()
		return gen.Arrivals(from, stages, w.Generator(p.workloadOptions())), err
	}
	if p.Operations == nil {
		pauses := gen.DrawPauses(p.Seed, time.Duration(p.PauseEvery), time.Duration(p.PauseFor), from, from+time.Duration(p.Time))
		return gen.Pauses(pauses, gen.Rate(p.Rate, w.Generator(p.workloadOptions()))), nil
	}
	of := make([][]harness.Op, p.Concurrency)
	for _, o := range p.Operations {
		op, err := o.op(w, from)
		if err != nil {
			return nil, err
		}
		of[o.Client] = append(of[o.Client], op)
	}
	for _, ops := range of {
		slices.SortStableFunc(ops, func(a, b harness.Op) int { return cmp.Compare(a.Time, b.Time) })
	}
	return gen.Listed(of), nil
}
