package coding

import (
	"math"
	"reflect"
	"testing"
)

type record struct {
	u    uint64
	i    int64
	o    *int64
	b    bool
	data []byte
	s    string
}

func (c *Coder) record(r *record) {
	c.Uint(&r.u)
	c.Int(&r.i)
	c.Optional(&r.o)
	c.Bool(&r.b)
	c.Bytes(&r.data)
	c.String(&r.s)
}

// What is written is read, and nothing less is taken for it.
func TestCoder(t *testing.T) {
	nine := int64(-9)
	for _, want := range []record{
		{}, {u: 127, i: -1, s: "x"}, {u: 128, i: 64, o: &nine, b: true, data: []byte{0}},
		{u: math.MaxUint64, i: math.MinInt64, data: make([]byte, 300), s: string(make([]byte, 200))},
	} {
		w := Coder{Write: true}
		w.record(&want)
		for n := range len(w.Out) {
			r := Coder{Fields: Fields{B: w.Out[:n]}}
			if r.record(&record{}); !r.Bad {
				t.Errorf("%+v was read from %d of %d bytes", want, n, len(w.Out))
			}
		}
		r, got := Coder{Fields: Fields{B: w.Out}}, record{}
		if r.record(&got); r.Bad || len(r.B) > 0 || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v became %+v", want, got)
		}
	}
}

func FuzzCoder(f *testing.F) {
	f.Add([]byte{1, 2, 1, 3, 1, 1, 7, 1, 'x'})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, got := Coder{Fields: Fields{B: b}}, record{}
		if r.record(&got); r.Bad {
			return
		}
		w, again := Coder{Write: true}, record{}
		w.record(&got)
		r = Coder{Fields: Fields{B: w.Out}}
		if r.record(&again); r.Bad || !reflect.DeepEqual(got, again) {
			t.Errorf("%+v became %+v", got, again)
		}
	})
}
