package histories

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// A log has a line for each entry: process, type, function and value, between
// white space, and after them perhaps an error. What stands before them depends
// on what wrote it; a history.txt has nothing there.
//
//	INFO  jepsen.util - 0	:invoke	:cas	[1 2]
//	INFO [2019-11-08 06:38:56,868] jepsen worker 4-n5 - jepsen.util 4	:invoke	:cas	[1 2]
//	2020-09-11 15:37:05,049{GMT}	INFO	[jepsen worker 6] jepsen.util: 6	:invoke	:txn	[[:r 2 nil]]
//	0	:invoke	:txn	[[:r 2 nil]]
//
// All other lines are what else was logged.

// entryIn finds the entry in a line: its process, type and function, and the
// text of what follows.
func entryIn(line []byte) (process, typ, f string, rest []byte, found bool) {
	for at := 0; ; {
		i := bytes.IndexByte(line[at:], ':')
		if i < 0 {
			return "", "", "", nil, false
		}
		at += i + 1
		word := until(line[at:])
		if _, known := types[string(word)]; !known || at < 2 || !isBlank(line[at-2]) {
			continue
		}
		before := bytes.TrimRight(line[:at-1], " \t")
		after := bytes.TrimLeft(line[at+len(word):], " \t")
		from := bytes.LastIndexAny(before, " \t") + 1
		who := before[from:]
		if len(after) < 2 || after[0] != ':' || len(who) == 0 || !isProcess(who) || !introduces(bytes.TrimRight(before[:from], " \t")) {
			continue
		}
		name := until(after[1:])
		return string(who), string(word), string(name), after[1+len(name):], true
	}
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// until is the text up to the next white space.
func until(b []byte) []byte {
	if i := bytes.IndexAny(b, " \t\r\n"); i >= 0 {
		return b[:i]
	}
	return b
}

func isProcess(who []byte) bool {
	if who[0] == ':' {
		return len(who) > 1
	}
	for _, c := range who {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// introduces says whether an entry may follow this beginning of a line: nothing,
// or what a logger writes before its message.
func introduces(b []byte) bool {
	return len(b) == 0 || bytes.IndexByte([]byte("-:]>|"), b[len(b)-1]) >= 0 || bytes.HasSuffix(b, []byte("jepsen.util"))
}

func readLog(in *bufio.Reader, add func(*event) error) error {
	var began time.Duration
	first := true
	names := map[string]string{}
	one := func(s string) string {
		if c, ok := names[s]; ok {
			return c
		}
		names[s] = s
		return s
	}
	values := newReader(nil, false)
	e := new(event)
	var long []byte
	for number := 1; ; number++ {
		line, err := in.ReadSlice('\n')
		for err == bufio.ErrBufferFull {
			long = append(long, line...)
			line, err = in.ReadSlice('\n')
		}
		if len(long) > 0 {
			long = append(long, line...)
			line, long = long, long[:0]
		}
		if err != nil && err != io.EOF {
			return fmt.Errorf("line %d: %w", number, err)
		}
		if process, typ, f, rest, found := entryIn(line); found && !isNemesis(process) {
			*e = event{place: place{line: int32(number), index: noIndex}, typ: types[typ], f: one(f)}
			if n, err := strconv.ParseInt(process, 10, 64); err == nil {
				e.process = n
			} else {
				e.process = keyword(one(process[1:]))
			}
			if at, ok := stamp(line); ok {
				if first {
					began, first = at-1, false
				}
				e.time = max(1, at-began)
			}
			var err error
			if e.value, e.err, err = values.logged(rest, number); err != nil {
				return err
			}
			if err := add(e); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
	}
}

// logged reads the value of an entry, and the error after it.
func (r *reader) logged(text []byte, number int) (v any, problem string, err error) {
	r.in, r.buf, r.pos, r.end, r.err, r.line = nil, text, 0, len(text), io.EOF, number
	v, err = r.next()
	if err == io.EOF {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	return v, strings.TrimPrefix(string(bytes.TrimSpace(text[r.pos:])), ":"), nil
}

// stamp finds the date and time in a line, 2025-06-23 13:09:52,409, as the time
// since 1970.
func stamp(line []byte) (time.Duration, bool) {
	const form = "0000-00-00 00:00:00,000"
	const farthest = 40
	for from := 0; from < farthest && from+len(form) <= len(line); from++ {
		if line[from] < '0' || line[from] > '9' || line[from+4] != '-' || line[from+13] != ':' {
			continue
		}
		text := string(line[from : from+len(form)])
		t, err := time.Parse("2006-01-02 15:04:05.000", text[:19]+"."+text[20:])
		if err != nil || t.Year() < 1970 || t.Year() > 2200 {
			return 0, false
		}
		return time.Duration(t.Unix())*time.Second + time.Duration(t.Nanosecond()), true
	}
	return 0, false
}
