package histories

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"coup/checker/model"
	"coup/harness"
)

// PolySI, DBCop, Cobra, Plume and AWDIT check transactions over registers, session by
// session. Their files contain no times: only the order within a session is known.

// sessions is such a history.
type sessions struct {
	values *values
	list   [][]transaction
	// zeroIsNothing says that every object holds 0 at the beginning.
	zeroIsNothing bool
}

// transaction is one of a session.
type transaction struct {
	line    int // 0: the file has no lines
	steps   model.Txn
	aborted bool
}

// session is the n-th one, from 0.
func (s *sessions) session(n int) *[]transaction {
	for len(s.list) <= n {
		s.list = append(s.list, nil)
	}
	return &s.list[n]
}

// operations takes transactions from the sessions in turn. Each transaction lasts until
// the next one of its session.
func (s *sessions) operations() ([]harness.Operation, error) {
	if err := s.withoutZeros(); err != nil {
		return nil, err
	}
	longest := 0
	for _, one := range s.list {
		longest = max(longest, len(one))
	}
	var ops []harness.Operation
	open := make([]int, len(s.list)) // operations, from 1
	pos := 0
	for turn := range longest {
		for n, one := range s.list {
			if turn >= len(one) {
				continue
			}
			if open[n] > 0 {
				ops[open[n]-1].Return = pos
				pos++
			}
			open[n] = len(ops) + 1
			t := one[turn]
			asked := make(model.Txn, len(t.steps))
			for i, m := range t.steps {
				asked[i] = model.Micro{F: m.F, Key: m.Key, Value: m.Value}
			}
			op := harness.Operation{Process: n, F: "txn", Input: asked, Output: t.steps, Type: harness.OK, Call: pos, Line: t.line, Index: noIndex}
			if t.aborted {
				op.Type, op.Output = harness.Fail, nil
			}
			ops = append(ops, op)
			pos++
		}
	}
	for i := range ops {
		if ops[i].Return == 0 {
			ops[i].Return = pos
			pos++
		}
	}
	return ops, nil
}

// withoutZeros turns reads of 0 into reads of nothing. It leaves out a transaction at the
// start of a session that only writes initial values.
func (s *sessions) withoutZeros() error {
	if !s.zeroIsNothing {
		return nil
	}
	writesZero := func(m model.Micro) bool { return m.F == "w" && m.Value == 0 }
	for n := range s.list {
		if one := s.list[n]; len(one) > 0 && !slices.ContainsFunc(one[0].steps, func(m model.Micro) bool { return !writesZero(m) }) {
			s.list[n] = one[1:]
		}
		for _, t := range s.list[n] {
			for i, m := range t.steps {
				if writesZero(m) && !t.aborted {
					return t.errorf("0 is written to %s, and is what everything holds at the beginning: nobody can tell these two apart", m.Key)
				}
				if m.F == "r" && m.Seen == model.Just(0) {
					t.steps[i].Seen = model.Maybe{}
				}
			}
		}
	}
	return nil
}

func (t transaction) errorf(format string, args ...any) error {
	if t.line == 0 {
		return fmt.Errorf(format, args...)
	}
	return fmt.Errorf("line %d: %s", t.line, fmt.Sprintf(format, args...))
}

func write(key string, v int64) model.Micro { return model.Micro{F: "w", Key: key, Value: v} }
func read(key string, v model.Maybe) model.Micro {
	return model.Micro{F: "r", Key: key, Seen: v}
}

// number reads one that has no sign, or is -1. Those that are larger than
// integers of 64 bits are values like others.
func (s *sessions) number(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		u, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("expected a number, not %q", clipped(text))
		}
		return s.values.id(other(strconv.FormatUint(u, 10)))
	}
	return s.values.id(n)
}

// isPlume says whether a line is one of PolySI's or Plume's: r(key,value,session,transaction).
func isPlume(line string) bool {
	return len(line) > 2 && (line[0] == 'r' || line[0] == 'w') && line[1] == '(' && strings.HasSuffix(line, ")") && strings.Count(line, ",") == 3
}

// plume reads the text format of PolySI and Plume, an event a line. A transaction
// -1 is one that did not commit.
func (s *sessions) plume(lines *lineReader) error {
	s.zeroIsNothing = true
	sessionOf := map[string]int{}
	type where struct{ session, at int }
	transactions := map[string]where{}
	for {
		line, ok := lines.next()
		if !ok {
			return lines.err
		}
		if !isPlume(line) {
			return lines.errorf("expected r(key,value,session,transaction) or w(...), not %q", clipped(line))
		}
		parts := strings.Split(line[2:len(line)-1], ",")
		for i := range parts {
			parts[i] = strings.TrimSpace(parts[i])
		}
		v, err := s.number(parts[1])
		if err != nil {
			return lines.errorf("%v", err)
		}
		key, session, txn := parts[0], parts[2], parts[3]
		for _, p := range []string{key, session, txn} {
			if _, err := strconv.ParseInt(p, 10, 64); err != nil {
				if _, err := strconv.ParseUint(p, 10, 64); err != nil {
					return lines.errorf("expected a number, not %q", clipped(p))
				}
			}
		}
		n, known := sessionOf[session]
		if !known {
			n = len(sessionOf)
			sessionOf[session] = n
		}
		one := s.session(n)
		step := write(key, v)
		if line[0] == 'r' {
			step = read(key, model.Just(v))
		}
		if txn == "-1" {
			if line[0] == 'w' {
				*one = append(*one, transaction{line: lines.n, steps: model.Txn{step}, aborted: true})
			}
			continue
		}
		at, known := transactions[txn]
		if !known {
			at = where{n, len(*one)}
			transactions[txn] = at
			*one = append(*one, transaction{line: lines.n})
		}
		if at.session != n {
			return lines.errorf("transaction %s belongs to another session since line %d", txn, s.list[at.session][at.at].line)
		}
		t := &(*one)[at.at]
		t.steps = append(t.steps, step)
	}
}

// isSteps says whether a line is one of AWDIT's own format.
func isSteps(line string) bool {
	f := strings.Fields(line)
	if len(f) == 3 && (f[0] == "r" || f[0] == "w") {
		_, err := strconv.ParseUint(f[2], 10, 64)
		return err == nil
	}
	return line != "" && strings.Trim(line, "=") == ""
}

// awdit reads AWDIT's own format: "r key value" and "w key value", dashes
// between transactions, equal signs between sessions.
func (s *sessions) awdit(lines *lineReader) error {
	s.zeroIsNothing = true
	n, fresh := 0, true
	for {
		line, ok := lines.next()
		if !ok {
			return lines.err
		}
		one := s.session(n)
		switch f := strings.Fields(line); {
		case strings.Trim(line, "-") == "":
			fresh = true
		case strings.Trim(line, "=") == "":
			if len(*one) > 0 {
				n++
			}
			fresh = true
		case len(f) == 3 && (f[0] == "r" || f[0] == "w"):
			v, err := s.number(f[2])
			if err != nil {
				return lines.errorf("%v", err)
			}
			if fresh {
				*one = append(*one, transaction{line: lines.n})
				fresh = false
			}
			step := write(f[1], v)
			if f[0] == "r" {
				step = read(f[1], model.Just(v))
			}
			t := &(*one)[len(*one)-1]
			t.steps = append(t.steps, step)
		default:
			return lines.errorf("expected r key value, w key value, dashes or equal signs, not %q", clipped(line))
		}
	}
}

// isDBCop says whether a line begins a history in DBCop's text format.
func isDBCop(line string) bool {
	if strings.HasPrefix(line, "//") {
		return true
	}
	event, _, _ := strings.Cut(strings.TrimPrefix(line, "["), " ")
	return strings.HasPrefix(line, "[") && (strings.Contains(event, ":=") || strings.Contains(event, "=="))
}

// dbcop reads DBCop's text format: transactions in brackets, x:=1 a write, x==1
// a read, x==? one of nothing, ! after what did not commit, dashes between
// sessions.
func (s *sessions) dbcop(lines *lineReader) error {
	n := 0
	for {
		line, ok := lines.next()
		if !ok {
			return lines.err
		}
		if strings.HasPrefix(line, "//") {
			continue
		}
		if strings.Trim(line, "-") == "" {
			n++
			continue
		}
		one := s.session(n)
		for rest := line; rest != ""; {
			inner, after, closed := strings.Cut(strings.TrimPrefix(rest, "["), "]")
			if rest[0] != '[' || !closed {
				return lines.errorf("expected transactions such as [x:=1 y==2], not %q", clipped(rest))
			}
			t := transaction{line: lines.n}
			for _, event := range strings.Fields(inner) {
				step, err := s.dbcopEvent(event)
				if err != nil {
					return lines.errorf("%v", err)
				}
				t.steps = append(t.steps, step)
			}
			after, t.aborted = strings.CutPrefix(after, "!")
			*one = append(*one, t)
			rest = strings.TrimLeft(after, " \t")
		}
	}
}

func (s *sessions) dbcopEvent(event string) (model.Micro, error) {
	if key, v, ok := strings.Cut(event, ":="); ok {
		n, err := s.number(v)
		return write(key, n), err
	}
	key, v, ok := strings.Cut(event, "==")
	if !ok {
		return model.Micro{}, fmt.Errorf("expected x:=1, x==1 or x==?, not %q", clipped(event))
	}
	if v == "?" {
		return read(key, model.Maybe{}), nil
	}
	n, err := s.number(v)
	return read(key, model.Just(n)), err
}

// isDBCopJSON says whether a JSON text begins as a history of DBCop does.
func isDBCopJSON(head []byte) bool {
	compact := bytes.Join(bytes.Fields(head), nil)
	for bytes.HasPrefix(compact, []byte("[[],")) { // a session without transactions
		compact = append([]byte("["), compact[len("[[],"):]...)
	}
	for _, begin := range []string{`{"params":`, `{"info":`, `{"data":`, `[[{"events":`, `[[{"committed":`, `[[{"success":`} {
		if bytes.HasPrefix(compact, []byte(begin)) {
			return true
		}
	}
	return false
}

// dbcopJSON reads a history of DBCop: sessions of transactions of events, in a
// map or by themselves, as its versions of 2019 and of today write them.
func (s *sessions) dbcopJSON(r *reader) error {
	v, err := r.next()
	if err != nil {
		return err
	}
	if m, ok := v.(ednMap); ok {
		v = m.get("data")
	}
	list, ok := elements(v)
	if !ok {
		return fmt.Errorf("expected a list of sessions, not %s", clipped(textOf(v)))
	}
	for n, session := range list {
		txns, ok := elements(session)
		if !ok {
			return fmt.Errorf("session %d: expected a list of transactions, not %s", n+1, clipped(textOf(session)))
		}
		one := s.session(n)
		for i, txn := range txns {
			m, _ := txn.(ednMap)
			events, ok := elements(m.get("events"))
			if !ok {
				return fmt.Errorf("session %d, transaction %d: expected its events, not %s", n+1, i+1, clipped(textOf(txn)))
			}
			t := transaction{aborted: m.get("committed") == false || m.get("success") == false}
			for _, e := range events {
				step, success, err := s.event(e)
				if err != nil {
					return fmt.Errorf("session %d, transaction %d: %w", n+1, i+1, err)
				}
				switch {
				case success:
					t.steps = append(t.steps, step)
				case step.F == "w":
					*one = append(*one, transaction{steps: model.Txn{step}, aborted: true})
				}
			}
			*one = append(*one, t)
		}
	}
	return nil
}

func (s *sessions) event(v any) (step model.Micro, success bool, err error) {
	bad := fmt.Errorf("expected an event such as {\"Write\": {\"variable\": 1, \"version\": 2}}, not %s", clipped(textOf(v)))
	var f string
	var key, value any
	success = true
	switch e := v.(type) {
	case []any:
		if len(e) != 3 {
			return step, false, bad
		}
		f, key, value = word(e[0]), e[1], e[2]
	case ednMap:
		for name, is := range map[keyword]string{"Read": "r", "Write": "w"} {
			if inner, ok := e.get(name).(ednMap); ok {
				f, key, value = is, inner.get("variable"), inner.get("version")
			}
		}
		if write, ok := e.get("write").(bool); ok {
			s.zeroIsNothing = true
			f, key, value, success = "r", e.get("variable"), e.get("value"), e.get("success") != false
			if write {
				f = "w"
			}
		}
	}
	if key == nil || f != "r" && f != "w" || f == "w" && value == nil {
		return step, false, bad
	}
	name := s.values.key(key)
	if value == nil {
		return read(name, model.Maybe{}), success, nil
	}
	id, err := s.values.id(value)
	if f == "w" {
		return write(name, id), success, err
	}
	return read(name, model.Just(id)), success, err
}

// isBincode says whether a binary file begins as DBCop's of 2019: five numbers
// and the length of a text.
func isBincode(head []byte) bool {
	if len(head) < 48 {
		return false
	}
	for i := range 6 {
		if binary.LittleEndian.Uint64(head[8*i:]) > 1<<32 {
			return false
		}
	}
	return true
}

// binaryReader reads numbers until the first error.
type binaryReader struct {
	in    io.Reader
	order binary.ByteOrder
	err   error
}

func (b *binaryReader) bytes(n int) []byte {
	buf := make([]byte, n)
	if b.err == nil {
		_, b.err = io.ReadFull(b.in, buf)
	}
	return buf
}

func (b *binaryReader) number() uint64 { return b.order.Uint64(b.bytes(8)) }
func (b *binaryReader) flag() bool     { return b.bytes(1)[0] != 0 }

// bincode reads the binary format that DBCop had in 2019 and that PolySI's
// histories have.
func (s *sessions) bincode(in io.Reader) error {
	s.zeroIsNothing = true
	b := &binaryReader{in: in, order: binary.LittleEndian}
	for range 5 {
		b.number()
	}
	for range 3 { // what it is, when it began and ended
		n := b.number()
		if n > 1<<20 {
			return errors.New("not a history of DBCop's: a text in it is too long")
		}
		b.bytes(int(n))
	}
	for n := range int(min(b.number(), 1<<32)) {
		for range int(min(b.number(), 1<<40)) {
			var t transaction
			for range int(min(b.number(), 1<<40)) {
				isWrite, key, value, success := b.flag(), b.number(), b.number(), b.flag()
				if b.err != nil {
					break
				}
				v, err := s.number(strconv.FormatUint(value, 10))
				if err != nil {
					return err
				}
				step := read(strconv.FormatUint(key, 10), model.Just(v))
				if isWrite {
					step = write(strconv.FormatUint(key, 10), v)
				}
				switch {
				case success:
					t.steps = append(t.steps, step)
				case isWrite:
					one := s.session(n)
					*one = append(*one, transaction{steps: model.Txn{step}, aborted: true})
				}
			}
			t.aborted = !b.flag()
			if b.err != nil {
				return fmt.Errorf("a history of DBCop's that ends within transaction %d of session %d", len(*s.session(n))+1, n+1)
			}
			one := s.session(n)
			*one = append(*one, t)
		}
		if b.err != nil {
			return fmt.Errorf("a history of DBCop's that ends within session %d", n+1)
		}
	}
	return nil
}

// isCobra says whether a binary file begins as a log of Cobra's: a transaction
// begins, with its number, and then something of it.
func isCobra(head []byte) bool {
	return len(head) >= 18 && head[0] == 'S' && bytes.IndexByte([]byte("RWC"), head[9]) >= 0
}

// What Cobra writes in place of the number of a write: of what was there at the
// beginning, of what was not, and of its own collection of garbage.
const (
	cobraInitial = 0xbebeebee
	cobraNothing = 0xdeadbeef
	cobraTrue    = 0x23332333
	cobraFalse   = 0x66666666
)

// cobra reads a log of Cobra's, which is one session. What was written is told
// by the number of the write, which is unique.
func (s *sessions) cobra(in io.Reader, session int) error {
	one := s.session(session)
	b := &binaryReader{in: in, order: binary.BigEndian}
	var t *transaction
	var id uint64
	key := func() string { return strconv.FormatUint(b.number(), 10) }
	for at := 1; ; at++ {
		kind := b.bytes(1)[0]
		if b.err == io.EOF {
			if t != nil {
				return fmt.Errorf("a log of Cobra's that ends within transaction %d", id)
			}
			return nil
		}
		if (kind == 'S') == (t != nil) && b.err == nil {
			return fmt.Errorf("a log of Cobra's whose entry %d makes no sense: transactions must begin and commit in turn", at)
		}
		switch kind {
		case 'S':
			t, id = &transaction{}, b.number()
		case 'C':
			if b.number() != id && b.err == nil {
				return fmt.Errorf("a log of Cobra's whose entry %d ends another transaction than %d", at, id)
			}
			*one = append(*one, *t)
			t = nil
		case 'W':
			w := b.number()
			k := key()
			b.number()
			v, err := s.values.id(int64(w))
			if err != nil {
				return err
			}
			t.steps = append(t.steps, write(k, v))
		case 'R':
			b.number()
			w := b.number()
			k := key()
			b.number()
			seen := model.Maybe{}
			switch w {
			case cobraInitial, cobraNothing, cobraTrue, cobraFalse:
			default:
				v, err := s.values.id(int64(w))
				if err != nil {
					return err
				}
				seen = model.Just(v)
			}
			t.steps = append(t.steps, read(k, seen))
		default:
			return fmt.Errorf("a log of Cobra's whose entry %d is none of S, C, R, W", at)
		}
		if b.err != nil {
			return fmt.Errorf("a log of Cobra's that ends within entry %d", at)
		}
	}
}
