package histories

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"coup/harness"
)

var types = map[string]harness.Type{"invoke": harness.Invoke, "ok": harness.OK, "fail": harness.Fail, "info": harness.Info}

var errNoEntry = errors.New("expected an operation: a map with :process, :type, :f and :value, or a vector of these")

// readEntries reads a history whose entries are maps or vectors, one after the
// other or all in one vector, as EDN or as JSON.
func readEntries(r *reader, add func(*event) error) error {
	e := new(event)
	for {
		c, err := r.blank()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if c == '(' || c == '[' {
			whole, err := r.holdsEntries(c)
			if err != nil {
				return err
			}
			if whole {
				if err := readCollection(r, c, e, add); err != nil {
					return err
				}
				continue
			}
			line := r.line
			v, err := r.list(c, 0)
			if err != nil {
				return err
			}
			if err := addEntry(v, place{line: int32(line)}, e, add); err != nil {
				return err
			}
			continue
		}
		r.unread()
		line := r.line
		v, err := r.form(0)
		if errors.Is(err, errEnd) {
			return r.errorf("a closing bracket closes nothing")
		}
		if err != nil {
			return r.torn(err)
		}
		if v == skipped {
			continue
		}
		if err := addEntry(v, place{line: int32(line)}, e, add); err != nil {
			return err
		}
	}
}

// holdsEntries says whether the vector or list that was just opened is one of
// entries, and no entry itself. It leaves what comes next where it is.
func (r *reader) holdsEntries(open byte) (bool, error) {
	from := r.line
	c, err := r.blank()
	if err == io.EOF {
		return false, r.errorf("the text ends within the %q of line %d", open, from)
	}
	if err != nil {
		return false, err
	}
	r.unread()
	switch c {
	case '{', '[', '(', '#', ']', ')':
		return true, nil
	}
	return false, nil
}

func readCollection(r *reader, open byte, e *event, add func(*event) error) error {
	from := r.line
	for n := 1; ; n++ {
		c, err := r.blank()
		if err == nil && c == closing[open] {
			return nil
		}
		if err == nil {
			r.unread()
		}
		line := r.line
		var v any
		if err == nil {
			v, err = r.form(1)
		}
		switch {
		case err == io.EOF:
			return r.errorf("the text ends within the %q of line %d", open, from)
		case errors.Is(err, errEnd):
			return r.errorf("expected %q, which closes the %q of line %d, not %q", closing[open], open, from, c)
		case err != nil:
			return err
		case v == skipped:
			n--
			continue
		}
		if err := addEntry(v, place{line: int32(line), entry: int32(n)}, e, add); err != nil {
			return err
		}
	}
}

func addEntry(v any, at place, e *event, add func(*event) error) error {
	*e = event{place: at}
	e.index = noIndex
	var process, typ, f any
	switch v := v.(type) {
	case ednMap:
		for i := 0; i+1 < len(v); i += 2 {
			k, ok := v[i].(keyword)
			if !ok {
				continue
			}
			value := v[i+1]
			switch k {
			case "process":
				process = value
			case "type":
				typ = value
			case "f":
				f = value
			case "value":
				e.value = value
			case "time":
				if t, ok := value.(int64); ok {
					e.time = time.Duration(t)
				}
			case "index":
				if n, ok := value.(int64); ok && n >= 0 && n <= math.MaxInt32 {
					e.index = int32(n)
				}
			case "key":
				e.key = value
			case "error":
				if value != nil {
					e.err = plainText(value)
				}
			case "node":
				e.node = word(value)
			}
		}
	case []any:
		if len(v) < 3 {
			return e.errorf("%w", errNoEntry)
		}
		process, typ, f = v[0], v[1], v[2]
		if len(v) > 3 {
			e.value = v[3]
		}
		if len(v) > 4 && v[4] != nil {
			e.err = plainText(v[4])
		}
	default:
		return e.errorf("%w", errNoEntry)
	}
	switch p := process.(type) {
	case int64, nil:
		e.process = p
	case keyword, string, symbol:
		if isNemesis(word(p)) {
			return nil
		}
		e.process = p
		if n, err := strconv.ParseInt(word(p), 10, 64); err == nil {
			e.process = n
		}
	default:
		return e.errorf("expected a number or a name as :process, not %s", clipped(textOf(process)))
	}
	name := word(typ)
	t, known := types[name]
	if !known {
		return e.errorf("expected :invoke, :ok, :fail or :info as :type, not %s", clipped(textOf(typ)))
	}
	e.typ = t
	if e.f = word(f); e.f == "" && f != nil {
		return e.errorf("expected a keyword as :f, not %s", clipped(textOf(f)))
	}
	return add(e)
}

// isNemesis says whether a process is the one that breaks things, whose entries
// say nothing of what clients saw.
func isNemesis(name string) bool { return name == "nemesis" || name == ":nemesis" }

// plainText is a value as people read it: a string without quotes.
func plainText(v any) string {
	if s := word(v); s != "" {
		return s
	}
	return textOf(v)
}

// errTorn is for a last entry that a killed process left behind incomplete.
var errTorn = errors.New("the last entry is incomplete")

// torn marks an error at the very end of a sequence of JSON objects as one of these.
func (r *reader) torn(err error) error {
	if r.json && r.err == io.EOF && r.pos == r.end {
		return fmt.Errorf("%w: %w", errTorn, err)
	}
	return err
}
