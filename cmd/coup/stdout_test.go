package main

import (
	"bytes"
	"errors"
	"strings"
	"syscall"
	"testing"
)

// full takes so many bytes, and then fails.
type full struct {
	bytes.Buffer
	left int
	err  error
}

func (f *full) Write(b []byte) (int, error) {
	n := min(f.left, len(b))
	f.left -= n
	f.Buffer.Write(b[:n])
	if n < len(b) {
		return n, f.err
	}
	return n, nil
}

// Nothing of what is said is lost, unless nobody reads it.
func TestWhatDoesNotFitGoesElsewhere(t *testing.T) {
	text := strings.Repeat("invalid: a line of a verdict\n", 5000)
	for _, left := range []int{0, 1, 40_000, len(text)} {
		for _, err := range []error{syscall.ENOSPC, syscall.EPIPE} {
			out, instead := &full{left: left, err: err}, new(bytes.Buffer)
			failed := copyOut(out, instead, strings.NewReader(text))
			if want := left < len(text); errors.Is(failed, err) != want {
				t.Errorf("%d bytes fit, %v: %v", left, err, failed)
			}
			switch {
			case err == syscall.ENOSPC && out.String()+instead.String() != text:
				t.Errorf("%d bytes fit, %v: %d and %d bytes came out of %d", left, err, out.Len(), instead.Len(), len(text))
			case err == syscall.EPIPE && instead.Len() > 0:
				t.Errorf("what nobody reads was written elsewhere: %d bytes", instead.Len())
			}
		}
	}
}

func TestAReasonIsToldOnce(t *testing.T) {
	reason := errors.New("too many open files: raise the limit")
	for _, c := range []struct {
		err  error
		want string
	}{
		{reason, "too many open files: raise the limit"},
		{errors.Join(errors.New("heal: "+reason.Error()), reason, reason), "heal: too many open files: raise the limit"},
		{errors.Join(errors.New("one"), errors.New("two"), errors.New("one")), "one\ntwo"},
	} {
		if got := told(c.err); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
