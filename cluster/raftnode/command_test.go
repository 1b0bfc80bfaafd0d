package raftnode

import (
	"reflect"
	"testing"
)

func ptr(v int64) *int64 { return &v }

var someCommands = []command{
	{},
	{Op: opNoop},
	{Op: opWrite, Key: "k", Value: -7, Client: "p1", Seq: 3, Retry: true, At: 1 << 60},
	{Op: opCAS, Key: "ключ", From: ptr(0), Value: 1},
	{Op: opObjectPart, Key: "d", Value: 3, Client: "p2", Seq: 9, Object: objectCommand{Name: "a", To: "b", Content: []byte{0, 1}}},
	{Op: opCacheFill, Key: "k", Value: 3, Client: "p2", Seq: 9, Cache: cacheCommand{7, 1 << 40, stamp{2, 1 << 41}}},
	{Op: opTxn, Client: "p1", Seq: 1 << 63, Txn: []Micro{{F: MicroAppend, Key: "a", Value: 5}, {F: MicroRead, Key: "b"}}},
}

func TestCommandIsCoded(t *testing.T) {
	for _, c := range someCommands {
		b := c.encode()
		if got, err := decodeCommand(b); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%+v became %+v, %v", c, got, err)
		}
		for n := range b {
			if got, err := decodeCommand(b[:n]); err == nil {
				t.Errorf("%d of the %d bytes of %+v are %+v", n, len(b), c, got)
			}
		}
		if _, err := decodeCommand(append(b, 0)); err == nil {
			t.Errorf("%+v with a byte behind it is a command", c)
		}
	}
}

func FuzzCommand(f *testing.F) {
	for _, c := range someCommands {
		f.Add(c.encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decodeCommand(b)
		if err != nil {
			return
		}
		if again, err := decodeCommand(c.encode()); err != nil || !reflect.DeepEqual(again, c) {
			t.Fatalf("%+v became %+v, %v", c, again, err)
		}
	})
}
