package histories

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// EDN values become Go values: nil, bool, int64, float64, string, keyword,
// symbol, character as string, vectors, lists and sets as []any, maps as
// ednMap. What a tag says is left out: #jepsen.history.Op{...} is its map.
type (
	keyword string
	symbol  string
	ednMap  []any // keys and values in turn, in the order of the text
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

// ednReader reads one form after the other.
type ednReader struct {
	in    *bufio.Reader
	line  int
	names map[string]string // names seen before, so that each is kept once
}

func newEDNReader(r *bufio.Reader) *ednReader {
	return &ednReader{in: r, line: 1, names: map[string]string{}}
}

// deepest bounds how deep forms may be nested.
const deepest = 1000

var errEnd = errors.New("closing bracket")

// next reads a form; io.EOF if there is none left.
func (r *ednReader) next() (any, error) {
	v, err := r.form(0)
	if errors.Is(err, errEnd) {
		return nil, r.errorf("a closing bracket closes nothing")
	}
	return v, err
}

func (r *ednReader) errorf(format string, args ...any) error {
	return fmt.Errorf("line %d: %s", r.line, fmt.Sprintf(format, args...))
}

func (r *ednReader) byte() (byte, error) {
	c, err := r.in.ReadByte()
	if c == '\n' && err == nil {
		r.line++
	}
	return c, err
}

func (r *ednReader) unread(c byte) {
	if c == '\n' {
		r.line--
	}
	_ = r.in.UnreadByte() // never fails after a read
}

// blank skips white space and comments and returns what comes after them.
func (r *ednReader) blank() (byte, error) {
	for {
		c, err := r.byte()
		if err != nil {
			return 0, err
		}
		switch c {
		case ' ', '\t', '\n', '\r', '\f', ',':
		case ';':
			for c != '\n' {
				if c, err = r.byte(); err != nil {
					return 0, err
				}
			}
		default:
			return c, nil
		}
	}
}

func (r *ednReader) form(depth int) (any, error) {
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
		l, err := r.list(c, depth)
		if err != nil {
			return nil, err
		}
		if len(l)%2 != 0 {
			return nil, r.errorf("a map has a key without a value")
		}
		return ednMap(l), nil
	case ')', ']', '}':
		r.unread(c)
		return nil, errEnd
	case '"':
		return r.text()
	case '\\':
		return r.character()
	case '#':
		return r.dispatch(depth)
	}
	r.unread(c)
	return r.atom()
}

var closing = map[byte]byte{'(': ')', '[': ']', '{': '}'}

func (r *ednReader) list(open byte, depth int) ([]any, error) {
	from := r.line
	list := []any{}
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
		list = append(list, v)
	}
}

// dispatch reads what begins with #: a set, a discarded form, a tagged one.
func (r *ednReader) dispatch(depth int) (any, error) {
	c, err := r.byte()
	if err != nil {
		return nil, r.errorf("the text ends after #")
	}
	switch c {
	case '{':
		return r.list(c, depth)
	case '_':
		if _, err := r.form(depth + 1); err != nil {
			return nil, r.inside(err, "#_")
		}
		return r.form(depth)
	case '#': // ##Inf and the like
		return r.atom()
	}
	r.unread(c)
	if _, err := r.atom(); err != nil {
		return nil, r.inside(err, "#")
	}
	v, err := r.form(depth + 1)
	if err != nil {
		return nil, r.inside(err, "a tag")
	}
	return v, nil
}

// inside says that a form is missing where one must follow.
func (r *ednReader) inside(err error, after string) error {
	if err == io.EOF || errors.Is(err, errEnd) {
		return r.errorf("nothing follows %s", after)
	}
	return err
}

func (r *ednReader) text() (any, error) {
	from := r.line
	var b strings.Builder
	for {
		c, err := r.byte()
		if err != nil {
			return nil, r.errorf("the text ends within the string of line %d", from)
		}
		switch c {
		case '"':
			return b.String(), nil
		case '\\':
			if c, err = r.byte(); err != nil {
				return nil, r.errorf("the text ends within the string of line %d", from)
			}
			switch c {
			case 'n':
				b.WriteByte('\n')
			case 't':
				b.WriteByte('\t')
			case 'r':
				b.WriteByte('\r')
			case 'b':
				b.WriteByte('\b')
			case 'f':
				b.WriteByte('\f')
			case '"', '\\', '/':
				b.WriteByte(c)
			case 'u':
				var hex [4]byte
				if _, err := io.ReadFull(r.in, hex[:]); err != nil {
					return nil, r.errorf("the text ends within the string of line %d", from)
				}
				u, err := strconv.ParseUint(string(hex[:]), 16, 16)
				if err != nil {
					return nil, r.errorf("expected four hexadecimal digits after \\u, not %q", hex)
				}
				b.WriteRune(rune(u))
			default:
				return nil, r.errorf("no such escape in a string: \\%c", c)
			}
		default:
			b.WriteByte(c)
		}
	}
}

var namedCharacters = map[string]string{"newline": "\n", "space": " ", "tab": "\t", "return": "\r", "backspace": "\b", "formfeed": "\f"}

func (r *ednReader) character() (any, error) {
	c, err := r.byte()
	if err != nil {
		return nil, r.errorf("the text ends after \\")
	}
	name := string(c) + r.word()
	if s, ok := namedCharacters[name]; ok {
		return s, nil
	}
	if len(name) == 5 && name[0] == 'u' {
		if u, err := strconv.ParseUint(name[1:], 16, 16); err == nil {
			return string(rune(u)), nil
		}
	}
	if utf8.RuneCountInString(name) != 1 {
		return nil, r.errorf("no such character: \\%s", name)
	}
	return name, nil
}

// word reads up to the next delimiter.
func (r *ednReader) word() string {
	var b []byte
	for {
		c, err := r.byte()
		if err != nil {
			break
		}
		if strings.IndexByte(" \t\n\r\f,;()[]{}\"\\", c) >= 0 {
			r.unread(c)
			break
		}
		b = append(b, c)
	}
	if s, ok := r.names[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(r.names) < 10_000 {
		r.names[s] = s
	}
	return s
}

func (r *ednReader) atom() (any, error) {
	w := r.word()
	switch w {
	case "":
		return nil, r.errorf("expected a value")
	case "nil":
		return nil, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	if w[0] == ':' {
		if len(w) == 1 {
			return nil, r.errorf("expected a keyword after :")
		}
		return keyword(w[1:]), nil
	}
	digits := strings.TrimLeft(w, "+-")
	if digits == "" || digits[0] < '0' || digits[0] > '9' {
		return symbol(w), nil
	}
	if i, err := strconv.ParseInt(strings.TrimSuffix(w, "N"), 10, 64); err == nil {
		return i, nil
	}
	if f, err := strconv.ParseFloat(strings.TrimSuffix(w, "M"), 64); err == nil {
		return f, nil
	}
	return nil, r.errorf("expected a number, not %q", w)
}
