package histories

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"coup/harness"
)

// Checkers know integers only, which are small and quick to compare. Each other value
// gets an integer that stands for it, from a range that no history uses. In the results
// of checkers, the values are put back ([Recording.Restore]).

// firstID begins the range, and every integer in it is written with idDigits.
const (
	firstID = 461168601_0000000000
	lastID  = 461168601_9999999999
)

var idDigits = regexp.MustCompile(`\b461168601[0-9]{10}\b`)

// values numbers the values of a history.
type values struct {
	ids      map[string]int64  // by the text
	strings  map[string]int64  // of strings, which are the most
	keywords map[keyword]int64 // of keywords
	texts    []string          // by number, from firstID
	isString []bool            // by number
	keys     map[string]string // names of objects, by the text of the key
	taken    map[string]bool   // names of objects
}

func newValues() *values {
	return &values{
		ids: map[string]int64{}, strings: map[string]int64{}, keywords: map[keyword]int64{},
		keys: map[string]string{}, taken: map[string]bool{},
	}
}

// id is the integer that stands for a value: an integer for itself.
func (vs *values) id(v any) (int64, error) {
	switch v := v.(type) {
	case int64:
		if v < firstID || v > lastID {
			return v, nil
		}
	case string:
		if id, known := vs.strings[v]; known {
			return id, nil
		}
		id := vs.add(strconv.Quote(v), true)
		vs.strings[v] = id
		return id, nil
	case keyword:
		if id, known := vs.keywords[v]; known {
			return id, nil
		}
		id := vs.add(":"+string(v), false)
		vs.keywords[v] = id
		return id, nil
	}
	if bad := meaningless(v); bad != "" {
		return 0, fmt.Errorf("expected a value, not %s", bad)
	}
	text := textOf(v)
	if id, known := vs.ids[text]; known {
		return id, nil
	}
	id := vs.add(text, false)
	vs.ids[text] = id
	return id, nil
}

func (vs *values) add(text string, isString bool) int64 {
	vs.texts = append(vs.texts, text)
	vs.isString = append(vs.isString, isString)
	return firstID + int64(len(vs.texts)) - 1
}

// meaningless is the part of a value that can't be compared with others: the printed form
// of an object, or NaN.
func meaningless(v any) string {
	switch v := v.(type) {
	case other:
		if !exactNumber.MatchString(string(v)) {
			return string(v)
		}
	case float64:
		if math.IsNaN(v) {
			return "a number that is none"
		}
	case ednMap:
		return meaningless([]any(v))
	case set:
		return meaningless(v.of)
	case []any:
		for _, e := range v {
			if bad := meaningless(e); bad != "" {
				return bad
			}
		}
	}
	return ""
}

// exactNumber is a ratio or an integer of more than 64 bits.
var exactNumber = regexp.MustCompile(`^[+-]?[0-9]+(/[0-9]+|N)?$`)

// key is the name of an object: a string or a keyword without what marks it as
// one, unless another object has that name already.
func (vs *values) key(v any) string {
	text := textOf(v)
	if name, known := vs.keys[text]; known {
		return name
	}
	name := text
	switch v := v.(type) {
	case string:
		name = v
	case keyword:
		name = string(v)
	}
	if vs.taken[name] || name == "" {
		name = text
	}
	for vs.taken[name] { // the text of a string may be the name of another one
		name += "'"
	}
	vs.keys[text], vs.taken[name] = name, true
	return name
}

// textOf writes a value as EDN. Equal values have the same text, whatever the order of the
// members of a set or map.
func textOf(v any) string { return string(appendText(nil, v)) }

func appendText(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "nil"...)
	case bool:
		return strconv.AppendBool(b, v)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case float64:
		s := strconv.FormatFloat(v, 'g', -1, 64)
		if !strings.ContainsAny(s, ".eEIN") {
			s += ".0"
		}
		return append(b, s...)
	case string:
		return strconv.AppendQuote(b, v)
	case keyword:
		return append(append(b, ':'), v...)
	case symbol:
		return append(b, v...)
	case other:
		return append(b, v...)
	case ints:
		b = append(b, '[')
		for i, n := range v {
			if i > 0 {
				b = append(b, ' ')
			}
			b = strconv.AppendInt(b, n, 10)
		}
		return append(b, ']')
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ' ')
			}
			b = appendText(b, e)
		}
		return append(b, ']')
	case set:
		members, _ := elements(v.of)
		var texts []string
		for _, e := range members {
			texts = append(texts, textOf(e))
		}
		slices.Sort(texts)
		return fmt.Appendf(b, "#{%s}", strings.Join(texts, " "))
	case ednMap:
		var texts []string
		for i := 0; i+1 < len(v); i += 2 {
			texts = append(texts, textOf(v[i])+" "+textOf(v[i+1]))
		}
		slices.Sort(texts)
		return fmt.Appendf(b, "{%s}", strings.Join(texts, ", "))
	}
	return fmt.Append(b, v)
}

// restore gives every value in a text back that an integer stands for.
func (vs *values) restore(text string, write func(n int) string) string {
	return idDigits.ReplaceAllStringFunc(text, func(digits string) string {
		id, err := strconv.ParseInt(digits, 10, 64)
		if n := id - firstID; err == nil && n < int64(len(vs.texts)) {
			return write(int(n))
		}
		return digits
	})
}

func (vs *values) inText(text string) string {
	return vs.restore(text, func(n int) string { return vs.texts[n] })
}

// inJSON writes strings as strings, and what JSON has no word for as a string
// of its text.
func (vs *values) inJSON(raw []byte) json.RawMessage {
	return json.RawMessage(vs.restore(string(raw), func(n int) string {
		text := vs.texts[n]
		if vs.isString[n] {
			text, _ = strconv.Unquote(text)
		}
		b, _ := json.Marshal(text) // a string always marshals
		return string(b)
	}))
}

// Restore writes results on the recording with the values that stand in it,
// where checkers knew only the integers that stand for them.
func (r *Recording) Restore(results []harness.Result) []harness.Result {
	vs := r.values
	if vs == nil || len(vs.texts) == 0 {
		return results
	}
	results = slices.Clone(results)
	for i := range results {
		res := &results[i]
		res.Summary = vs.inText(res.Summary)
		if b, err := json.Marshal(res.Details); err == nil && res.Details != nil && idDigits.Match(b) {
			res.Details = vs.inDetails(b)
		}
		if c := res.Counterexample; c != nil {
			res.Counterexample = vs.inProof(*c)
		}
	}
	return results
}

// Told are the operations that somebody performed, with the values that stand in
// the file, as JSON where a checker knows only the integers that stand for them.
func (r *Recording) Told() []harness.Operation {
	ops := slices.DeleteFunc(slices.Clone(r.Operations), func(op harness.Operation) bool { return op.Process == harness.Beginning })
	vs := r.values
	if vs == nil || len(vs.texts) == 0 {
		return ops
	}
	told := func(v any) any {
		if v == nil {
			return nil
		}
		b, err := json.Marshal(v)
		if err != nil || !idDigits.Match(b) {
			return v
		}
		return vs.inJSON(b)
	}
	for i := range ops {
		ops[i].Input, ops[i].Output = told(ops[i].Input), told(ops[i].Output)
	}
	return ops
}

// inDetails restores values in the figures of a checker: those that are
// numbers, and those within its sentences.
func (vs *values) inDetails(b []byte) any {
	var d any
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.UseNumber()
	if dec.Decode(&d) != nil {
		return json.RawMessage(b)
	}
	return vs.inTree(d)
}

func (vs *values) inTree(d any) any {
	switch d := d.(type) {
	case json.Number:
		if idDigits.MatchString(string(d)) {
			return vs.inJSON([]byte(d))
		}
	case string:
		return vs.inText(d)
	case []any:
		for i := range d {
			d[i] = vs.inTree(d[i])
		}
	case map[string]any:
		for k := range d {
			d[k] = vs.inTree(d[k])
		}
	}
	return d
}

func (vs *values) inProof(c harness.Counterexample) *harness.Counterexample {
	c.Story, c.Witness, c.Edges = slices.Clone(c.Story), slices.Clone(c.Witness), slices.Clone(c.Edges)
	for i := range c.Story {
		c.Story[i] = vs.inText(c.Story[i])
	}
	for i := range c.Edges {
		c.Edges[i].Text = vs.inText(c.Edges[i].Text)
	}
	for i := range c.Witness {
		w := &c.Witness[i]
		w.Text = vs.inText(w.Text)
		if w.Input != nil {
			w.Input = vs.inJSON(w.Input)
		}
		if w.Output != nil {
			w.Output = vs.inJSON(w.Output)
		}
	}
	return &c
}
