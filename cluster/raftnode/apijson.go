package raftnode

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// Nearly every request and answer is a small object of numbers and plain words,
// and encoding/json takes a quarter of the time that a simulated node spends on
// an operation. So these are coded by hand; everything else is left to encoding/json.
// Where both can code something, they agree to the byte.

// decodePlain reads a request whose object holds only whole numbers, booleans
// and strings without escapes, under the names that Request has. For anything else
// ok is false, and encoding/json has to decide whether it is a request.
func decodePlain(b []byte) (req Request, ok bool) {
	p := words{b: b}
	p.take('{')
	for first := true; !p.bad; first = false {
		if p.next() == '}' && first {
			break
		}
		name := p.word()
		p.take(':')
		switch string(name) {
		case "key":
			req.Key = string(p.word())
		case "value":
			req.Value = p.int()
		case "from":
			v := p.int()
			req.From = &v
		case "client":
			req.Client = string(p.word())
		case "seq":
			p.bad = p.bad || p.next() == '-'
			req.Seq = uint64(p.int())
		case "retry":
			req.Retry = p.bool()
		case "timeout_ms":
			req.Timeout = p.int()
		case "reads":
			req.Reads = string(p.word())
		case "forwarded":
			req.Forwarded = p.bool()
		default:
			p.bad = true
		}
		if p.next() == '}' {
			break
		}
		p.take(',')
	}
	p.take('}')
	return req, !p.bad
}

// words reads JSON of the plainest kind.
type words struct {
	b   []byte
	bad bool
}

// next is the next byte that is no space, or 0.
func (p *words) next() byte {
	for len(p.b) > 0 && (p.b[0] == ' ' || p.b[0] == '\n' || p.b[0] == '\t' || p.b[0] == '\r') {
		p.b = p.b[1:]
	}
	if len(p.b) == 0 {
		return 0
	}
	return p.b[0]
}

func (p *words) take(c byte) {
	if p.next() != c {
		p.bad = true
		return
	}
	p.b = p.b[1:]
}

// word is a string of printable ASCII without escapes.
func (p *words) word() []byte {
	p.take('"')
	for i, c := range p.b {
		switch {
		case c == '"':
			word := p.b[:i]
			p.b = p.b[i+1:]
			return word
		case c < ' ' || c > '~' || c == '\\':
			p.bad = true
			return nil
		}
	}
	p.bad = true
	return nil
}

// int is a whole number of at most 18 digits.
func (p *words) int() (v int64) {
	negative := p.next() == '-'
	if negative {
		p.b = p.b[1:]
	}
	n := 0
	for n < len(p.b) && p.b[n] >= '0' && p.b[n] <= '9' && n <= maxDigits {
		v = 10*v + int64(p.b[n]-'0')
		n++
	}
	p.bad = p.bad || n == 0 || n > maxDigits || n > 1 && p.b[0] == '0' ||
		n < len(p.b) && (p.b[n] == '.' || p.b[n] == 'e' || p.b[n] == 'E')
	p.b = p.b[n:]
	if negative {
		return -v
	}
	return v
}

const maxDigits = 18 // that many always fit

func (p *words) bool() bool {
	p.next()
	for _, word := range []string{"true", "false"} {
		if rest, ok := bytes.CutPrefix(p.b, []byte(word)); ok {
			p.b = rest
			return word == "true"
		}
	}
	p.bad = true
	return false
}

// encodeAnswer encodes the body of an answer, to the byte as encoding/json does.
func encodeAnswer(body any) ([]byte, error) {
	switch v := body.(type) {
	case Response:
		if v.Txn == nil && v.Object == nil && v.Cached == nil && v.Token == 0 && v.Lease == 0 {
			return v.encode(), nil
		}
	case *Failure:
		if isPlain(v.Reason) && isPlain(v.Leader) {
			return v.encode(), nil
		}
	}
	return json.Marshal(body)
}

// encode encodes a response without a transaction, an object, a lease or an assignment.
func (r Response) encode() []byte {
	b := append(make([]byte, 0, 64+8*len(r.Values)), `{"value":`...)
	if r.Value == nil {
		b = append(b, "null"...)
	} else {
		b = strconv.AppendInt(b, *r.Value, 10)
	}
	for i, v := range r.Values {
		if i == 0 {
			b = append(b, `,"values":[`...)
		} else {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, v, 10)
	}
	if len(r.Values) > 0 {
		b = append(b, ']')
	}
	return append(b, '}')
}

// encode encodes a failure whose words are plain.
func (f *Failure) encode() []byte {
	b := append(make([]byte, 0, 128), `{"error":"`...)
	b = append(append(b, f.Reason...), `","happened":"`...)
	b = append(append(b, f.Happened...), '"')
	if f.Leader != "" {
		b = append(append(append(b, `,"leader":"`...), f.Leader...), '"')
	}
	return append(b, '}')
}

// isPlain says whether encoding/json writes s as it is.
func isPlain(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}
