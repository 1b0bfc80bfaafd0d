package guest

import (
	"bytes"
	"testing"
)

func TestEvents(t *testing.T) {
	want := []Event{
		{Opened, 2, nil}, {Data, 1 << 31, []byte("hello")}, {Accepted, 3, []byte("\x1f\x40n1")}, {EOF, 7, nil},
	}
	var b []byte
	for _, e := range want {
		b = e.Append(b)
	}
	for i := range b { // what is cut off anywhere is never taken for more
		n := 0
		for rest := b[:i]; ; n++ {
			var ok bool
			if _, rest, ok = Next(rest); !ok {
				break
			}
		}
		if n >= len(want) {
			t.Fatalf("%d events in %d of %d bytes", n, i, len(b))
		}
	}
	for i, w := range want {
		e, rest, ok := Next(b)
		if !ok || e.Kind != w.Kind || e.ID != w.ID || !bytes.Equal(e.Data, w.Data) {
			t.Fatalf("event %d: %+v, %v", i, e, ok)
		}
		b = rest
	}
	if len(b) != 0 {
		t.Fatalf("%d bytes left", len(b))
	}
}
