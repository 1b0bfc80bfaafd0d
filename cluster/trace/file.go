package trace

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"time"
)

// Writer writes a trace. What it holds in memory does not grow with the trace.
// It is not safe for concurrent use.
type Writer struct {
	gz  *gzip.Writer
	buf *bufio.Writer
	enc *json.Encoder
	err error
}

// NewWriter writes to w, which stays the caller's to close.
func NewWriter(w io.Writer) *Writer {
	// The error is that of a level that does not exist.
	gz, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
	buf := bufio.NewWriterSize(gz, 64<<10)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	return &Writer{gz: gz, buf: buf, enc: enc}
}

// Write writes e. The first error is kept for Close, and ends the trace.
func (w *Writer) Write(e *Event) {
	if w.err == nil {
		w.err = w.enc.Encode(e)
	}
}

// Close writes what is left. Its error is the first that there was.
func (w *Writer) Close() error {
	if w.err == nil {
		w.err = w.buf.Flush()
	}
	return errors.Join(w.err, w.gz.Close())
}

// ErrTorn says that a trace has no proper end: what wrote it was killed.
var ErrTorn = errors.New("the trace has no end")

// Read reads a trace from its beginning, with one event in memory at a time.
// Events of times that are not wanted are left out at little cost; nil wants
// all. The last thing given may be an error: ErrTorn if the trace breaks off,
// any other if it is no trace.
func Read(r io.Reader, wanted func(time.Duration) bool) iter.Seq2[*Event, error] {
	return func(yield func(*Event, error) bool) {
		gz, err := gzip.NewReader(r)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			yield(nil, ErrTorn)
			return
		}
		if err != nil {
			yield(nil, err)
			return
		}
		in := bufio.NewReaderSize(gz, 256<<10)
		for n := 1; ; n++ {
			line, err := in.ReadSlice('\n')
			if errors.Is(err, bufio.ErrBufferFull) { // a long line: rare enough to copy it
				line = bytes.Clone(line)
				rest, more := in.ReadBytes('\n')
				line, err = append(line, rest...), more
			}
			switch {
			case err == io.EOF && len(line) == 0:
				return
			case errors.Is(err, io.ErrUnexpectedEOF), err == io.EOF:
				yield(nil, ErrTorn)
				return
			case err != nil:
				yield(nil, fmt.Errorf("line %d: %w", n, err))
				return
			}
			if t, ok := timeOf(line); ok && wanted != nil && !wanted(t) {
				continue
			}
			e := &Event{}
			if err := json.Unmarshal(line, e); err != nil {
				yield(nil, fmt.Errorf("line %d: %w", n, err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// timeOf reads the time of a line without the rest, as a Writer writes it.
func timeOf(line []byte) (time.Duration, bool) {
	rest, ok := bytes.CutPrefix(line, []byte(`{"t":`))
	digits, _, found := bytes.Cut(rest, []byte{','})
	if !ok || !found {
		return 0, false
	}
	t, err := strconv.ParseInt(string(digits), 10, 64)
	return time.Duration(t), err == nil
}
