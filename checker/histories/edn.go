package histories

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Values of a text become Go values: nil, bool, int64, float64, string,
// [keyword], [symbol], characters as strings, vectors and lists as []any or, if
// all of their members are integers, as [ints], sets as [set], maps as [ednMap].
// Tags are left out: #jepsen.history.Op{...} is its map. Values that Clojure has and Go
// has not, such as ratios, are [other].
type (
	keyword string
	symbol  string
	other   string // as it stands in the text
	ints    []int64
	set     struct{ of any } // []any or ints
	ednMap  []any            // keys and values in turn, in the order of the text
)

// get is the value of a key, nil if there is none.
func (m ednMap) get(key keyword) any {
	for i := 0; i+1 < len(m); i += 2 {
		if m[i] == key {
			return m[i+1]
		}
	}
	return nil
}

// reader reads one form after the other, of EDN or of JSON. It is lenient: a history
// holds values that some printer wrote, and most of them do not matter for the operations.
type reader struct {
	in       io.Reader
	buf      []byte
	pos, end int
	err      error // of in, once it has ended
	line     int   // of the next byte
	json     bool
	names    map[string]string // words seen before, so that each is kept once
	numbers  []int64           // of the list that is being read
	tuple    bool              // a tag called a pair that of a key and a value
}

func newReader(in io.Reader, json bool) *reader {
	return &reader{in: in, buf: make([]byte, 1<<16), line: 1, json: json, names: map[string]string{}}
}

// deepest bounds how deep forms may be nested.
const deepest = 1000

var errEnd = errors.New("closing bracket")

// next reads a form; io.EOF if there is none left.
func (r *reader) next() (any, error) {
	v, err := r.value(0)
	if errors.Is(err, errEnd) {
		return nil, r.errorf("a closing bracket closes nothing")
	}
	return v, err
}

func (r *reader) errorf(format string, args ...any) error {
	return fmt.Errorf("line %d: %s", r.line, fmt.Sprintf(format, args...))
}

// ended is the error where the text ends though a form has not: that of the
// input, if it was not the end of it.
func (r *reader) ended(format string, args ...any) error {
	if r.err != io.EOF {
		return fmt.Errorf("line %d: %w", r.line, r.err)
	}
	return r.errorf(format, args...)
}

// fill reads on. It keeps what is unread, and says whether there is more.
func (r *reader) fill() bool {
	if r.err != nil {
		return false
	}
	r.end = copy(r.buf, r.buf[r.pos:r.end])
	r.pos = 0
	if r.end == len(r.buf) {
		r.buf = append(r.buf, make([]byte, len(r.buf))...)
	}
	for {
		n, err := r.in.Read(r.buf[r.end:])
		r.end += n
		if err != nil {
			r.err = err
		}
		if n > 0 || err != nil {
			return n > 0
		}
	}
}

// byte is the next one; ok is false at the end.
func (r *reader) byte() (c byte, ok bool) {
	if r.pos == r.end && !r.fill() {
		return 0, false
	}
	c = r.buf[r.pos]
	r.pos++
	if c == '\n' {
		r.line++
	}
	return c, true
}

// unread takes back the last byte.
func (r *reader) unread() {
	r.pos--
	if r.buf[r.pos] == '\n' {
		r.line--
	}
}

// blank skips white space and comments and returns what comes after them.
func (r *reader) blank() (byte, error) {
	for {
		c, ok := r.byte()
		if !ok {
			if r.err != io.EOF {
				return 0, r.ended("")
			}
			return 0, io.EOF
		}
		switch c {
		case ' ', '\t', '\n', '\r', '\f', ',':
		case ';':
			for ok && c != '\n' {
				c, ok = r.byte()
			}
		case ':':
			if !r.json {
				return c, nil
			}
		default:
			return c, nil
		}
	}
}

// value reads the next form that is not to be left out.
func (r *reader) value(depth int) (any, error) {
	for {
		if v, err := r.form(depth); err != nil || v != skipped {
			return v, err
		}
	}
}

func (r *reader) form(depth int) (any, error) {
	if depth > deepest {
		return nil, r.errorf("forms are nested deeper than %d", deepest)
	}
	c, err := r.blank()
	if err != nil {
		return nil, err
	}
	switch c {
	case '(', '[':
		return r.list(c, depth)
	case '{':
		l, err := r.members(c, depth, nil)
		if err != nil {
			return nil, err
		}
		if len(l)%2 != 0 {
			return nil, r.errorf("a map has a key without a value")
		}
		if r.json {
			for i := 0; i < len(l); i += 2 {
				if s, ok := l[i].(string); ok {
					l[i] = keyword(strings.TrimPrefix(s, ":")) // some tools write keywords so
				}
			}
		}
		return ednMap(l), nil
	case ')', ']', '}':
		r.unread()
		return nil, errEnd
	case '"':
		return r.text()
	case '\\':
		return r.character()
	case '#':
		return r.dispatch(depth)
	case '\'', '`', '~', '@': // what is quoted is what it is here
		v, err := r.value(depth + 1)
		return v, r.inside(err, string(c))
	case '^': // metadata, then what it is about
		if _, err := r.value(depth + 1); err != nil {
			return nil, r.inside(err, "^")
		}
		v, err := r.value(depth + 1)
		return v, r.inside(err, "metadata")
	}
	r.unread()
	return r.atom()
}

var closing = map[byte]byte{'(': ')', '[': ']', '{': '}'}

// list reads the members of a vector or a list. As long as they are integers
// they need no boxes.
func (r *reader) list(open byte, depth int) (any, error) {
	numbers := r.numbers[:0]
	for {
		n, ok := r.integer()
		if !ok {
			break
		}
		numbers = append(numbers, n)
	}
	r.numbers = numbers
	if len(numbers) > 0 {
		c, err := r.blank()
		if err == nil && c == closing[open] {
			return ints(slices.Clone(numbers)), nil
		}
		if err == nil {
			r.unread()
		}
	}
	var before []any
	for _, n := range numbers {
		before = append(before, n)
	}
	l, err := r.members(open, depth, before)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// integer reads a plain integer if one comes next; otherwise it reads nothing.
func (r *reader) integer() (n int64, ok bool) {
	for r.pos < r.end || r.fill() {
		switch r.buf[r.pos] {
		case ' ', ',', '\t':
			r.pos++
			continue
		}
		break
	}
	if r.end-r.pos < 24 {
		r.fill()
	}
	b := r.buf[r.pos:r.end]
	i, negative := 0, false
	if len(b) > 0 && b[0] == '-' {
		i, negative = 1, true
	}
	from := i
	for ; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
		n = 10*n + int64(b[i]-'0')
	}
	switch digits := i - from; {
	case digits == 0 || digits > 18 || b[from] == '0' && digits > 1 || i == len(b) || !delimits[b[i]]:
		return 0, false
	case negative:
		n = -n
	}
	r.pos += i
	return n, true
}

// members reads up to the closing bracket.
func (r *reader) members(open byte, depth int, list []any) ([]any, error) {
	from := r.line
	if list == nil {
		list = []any{}
	}
	for {
		v, err := r.form(depth + 1)
		switch {
		case errors.Is(err, errEnd):
			if c, _ := r.byte(); c != closing[open] {
				return nil, r.errorf("expected %q, which closes the %q of line %d, not %q", closing[open], open, from, c)
			}
			return list, nil
		case err == io.EOF:
			return nil, r.errorf("the text ends within the %q of line %d", open, from)
		case err != nil:
			return nil, err
		}
		if v == skipped {
			continue
		}
		list = append(list, v)
	}
}

// skipped is what stands in the text to be left out.
var skipped any = &struct{ int }{}

// dispatch reads what begins with #: a set, a discarded form, a tagged one, and
// what Clojure prints of objects that it cannot read back.
func (r *reader) dispatch(depth int) (any, error) {
	c, ok := r.byte()
	if !ok {
		return nil, r.ended("the text ends after #")
	}
	switch c {
	case '{':
		l, err := r.list(c, depth)
		if err != nil {
			return nil, err
		}
		return set{l}, nil
	case '_':
		if _, err := r.value(depth + 1); err != nil {
			return nil, r.inside(err, "#_")
		}
		return skipped, nil
	case '#': // ##Inf and the like
		return r.atom()
	case '"': // a regular expression
		return r.text()
	case '(', '\'', '^', '=': // a function, a var, metadata, an evaluation
		if c != '\'' && c != '=' {
			r.unread()
		}
		v, err := r.value(depth + 1)
		return v, r.inside(err, "#"+string(c))
	case '<':
		return r.unreadable()
	}
	r.unread()
	tag, err := r.atom()
	if err != nil {
		return nil, r.inside(err, "#")
	}
	v, err := r.value(depth + 1)
	if err != nil {
		return nil, r.inside(err, "a tag")
	}
	if s, ok := tag.(symbol); ok && strings.HasPrefix(string(s), "jepsen.independent") {
		r.tuple = true
	}
	return v, nil
}

// unreadable reads what stands between < and > on one line.
func (r *reader) unreadable() (any, error) {
	b := []byte("#<")
	for open := 1; open > 0; {
		c, ok := r.byte()
		if !ok {
			return nil, r.ended("the text ends within #<")
		}
		switch c {
		case '\n':
			r.unread()
			return other(b), nil
		case '<':
			open++
		case '>':
			open--
		}
		b = append(b, c)
	}
	return other(b), nil
}

// inside says that a form is missing where one must follow.
func (r *reader) inside(err error, after string) error {
	if err == io.EOF || errors.Is(err, errEnd) {
		return r.errorf("nothing follows %s", after)
	}
	return err
}

func (r *reader) text() (any, error) {
	from := r.line
	if r.pos < r.end || r.fill() { // mostly it is here as a whole, and plain
		b := r.buf[r.pos:r.end]
		if i := bytes.IndexByte(b, '"'); i >= 0 && bytes.IndexByte(b[:i], '\\') < 0 {
			r.pos += i + 1
			r.line += bytes.Count(b[:i], []byte{'\n'})
			return r.one(b[:i]), nil
		}
	}
	var b []byte
	var high rune // the first half of a pair of surrogates
	for {
		c, ok := r.byte()
		if !ok {
			return nil, r.ended("the text ends within the string of line %d", from)
		}
		if c == '"' {
			return string(b), nil
		}
		if c != '\\' {
			b, high = append(b, c), 0
			continue
		}
		if c, ok = r.byte(); !ok {
			return nil, r.ended("the text ends within the string of line %d", from)
		}
		if c == 'u' {
			u, ok := r.hex()
			if !ok {
				return nil, r.errorf("expected four hexadecimal digits after \\u")
			}
			if pair := utf16.DecodeRune(high, u); pair != utf8.RuneError {
				b = b[:len(b)-len(string(utf8.RuneError))]
				u = pair
			}
			b, high = utf8.AppendRune(b, u), u
			continue
		}
		if e, known := escapes[c]; known {
			c = e
		}
		b, high = append(b, c), 0
	}
}

var escapes = map[byte]byte{'n': '\n', 't': '\t', 'r': '\r', 'b': '\b', 'f': '\f'}

// hex reads four hexadecimal digits.
func (r *reader) hex() (rune, bool) {
	var digits [4]byte
	for i := range digits {
		c, ok := r.byte()
		if !ok {
			return 0, false
		}
		digits[i] = c
	}
	u, err := strconv.ParseUint(string(digits[:]), 16, 16)
	return rune(u), err == nil
}

var namedCharacters = map[string]string{"newline": "\n", "space": " ", "tab": "\t", "return": "\r", "backspace": "\b", "formfeed": "\f"}

func (r *reader) character() (any, error) {
	c, ok := r.byte()
	if !ok {
		return nil, r.ended("the text ends after \\")
	}
	name := string(c) + string(r.word())
	if s, ok := namedCharacters[name]; ok {
		return s, nil
	}
	if len(name) == 5 && name[0] == 'u' {
		if u, err := strconv.ParseUint(name[1:], 16, 16); err == nil {
			return string(rune(u)), nil
		}
	}
	return name, nil
}

// delimits says which bytes end a word.
var delimits = func() (is [256]bool) {
	for _, c := range []byte(" \t\n\r\f,;()[]{}\"\\") {
		is[c] = true
	}
	return is
}()

// word reads up to the next delimiter. It is overwritten by the next read.
func (r *reader) word() []byte {
	for at := r.pos; ; at++ {
		if at == r.end {
			read := at - r.pos
			if !r.fill() {
				return r.took(r.end)
			}
			at = r.pos + read
		}
		if c := r.buf[at]; delimits[c] || r.json && c == ':' {
			return r.took(at)
		}
	}
}

func (r *reader) took(to int) []byte {
	b := r.buf[r.pos:to]
	r.pos = to
	return b
}

// one keeps each of the first words that come up once.
func (r *reader) one(b []byte) string {
	if s, ok := r.names[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(r.names) < 10_000 {
		r.names[s] = s
	}
	return s
}

func (r *reader) atom() (any, error) {
	w := r.word()
	switch string(w) {
	case "":
		if c, ok := r.byte(); ok {
			return nil, r.errorf("expected a value, not %q", c)
		}
		return nil, r.ended("expected a value")
	case "nil":
		return nil, nil
	case "null":
		if r.json {
			return nil, nil
		}
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	if w[0] == ':' {
		if len(w) == 1 {
			return nil, r.errorf("expected a keyword after :")
		}
		return keyword(r.one(w[1:])), nil
	}
	digits := bytes.TrimLeft(w, "+-")
	if len(digits) == 0 || digits[0] < '0' || digits[0] > '9' {
		return symbol(r.one(w)), nil
	}
	return number(string(w), r.json), nil
}

// number is what a word that begins like a number is: an integer of any base
// that Clojure prints, a floating-point number, or something else.
func number(w string, json bool) any {
	if i, err := strconv.ParseInt(strings.TrimSuffix(w, "N"), 10, 64); err == nil {
		return i
	}
	f, err := strconv.ParseFloat(strings.TrimSuffix(w, "M"), 64)
	switch i := int64(f); {
	case err == nil && json && float64(i) == f && f < 1<<53 && f > -1<<53: // 1.0 and 1e3 are integers there
		return i
	case err == nil && strings.ContainsAny(w, ".eEM") && !strings.Contains(w, "_"):
		return f
	}
	unsigned, sign := strings.TrimLeft(w, "+-"), ""
	if w[0] == '-' {
		sign = "-"
	}
	digits, base := unsigned, 10
	if b, rest, radix := strings.Cut(unsigned, "r"); radix {
		base, _ = strconv.Atoi(b)
		digits = rest
	} else if rest, hex := strings.CutPrefix(strings.ToLower(unsigned), "0x"); hex {
		digits, base = rest, 16
	}
	if base >= 2 && base <= 36 {
		if i, err := strconv.ParseInt(sign+digits, base, 64); err == nil && !strings.HasPrefix(digits, "+") && !strings.HasPrefix(digits, "-") {
			return i
		}
	}
	return other(w)
}

// elements are the members of a vector, a list or a set.
func elements(v any) (list []any, ok bool) {
	switch v := v.(type) {
	case []any:
		return v, true
	case ints:
		list = make([]any, len(v))
		for i, n := range v {
			list[i] = n
		}
		return list, true
	case set:
		return elements(v.of)
	}
	return nil, false
}

// pair takes a vector of two apart.
func pair(v any) (a, b any, ok bool) {
	switch v := v.(type) {
	case []any:
		if len(v) == 2 {
			return v[0], v[1], true
		}
	case ints:
		if len(v) == 2 {
			return v[0], v[1], true
		}
	}
	return nil, nil, false
}
