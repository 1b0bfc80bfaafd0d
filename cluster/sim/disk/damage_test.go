package disk

import (
	"bytes"
	"strings"
	"testing"
)

// What a failed sync did not write is read all the same until a power cut, and
// later syncs do not write it; what is written again is whole again.
func TestFailedSync(t *testing.T) {
	lost, kept := 0, 0
	for seed := range uint64(100) {
		d := diskWith(t, seed, map[string]string{"log": "0123456789"})
		n, _ := d.Walk("log")
		d.Sync(n, d.seq)
		d.Write(n, []byte("abc"), 10)
		d.Write(n, []byte("def"), 13)
		d.FailSync(n, d.seq)
		d.Write(n, []byte("ghi"), 16)
		d.Write(n, []byte("D"), 13)
		d.Sync(n, d.seq)
		if string(n.data) != "0123456789abcDefghi" {
			t.Fatalf("seed %d: programs read %q", seed, n.data)
		}
		d.Crash()
		if string(n.data[:10]) != "0123456789" || n.data[13] != 'D' || string(n.data[16:]) != "ghi" {
			t.Fatalf("seed %d: what was synced is gone: %q", seed, n.data)
		}
		switch s := string(n.data[10:13]); s {
		case "abc":
			kept++
		case "\x00\x00\x00":
			lost++
		default:
			t.Fatalf("seed %d: %q", seed, s)
		}
		if len(n.holes) > 0 {
			t.Fatal("something is left to lose")
		}
	}
	if lost == 0 || kept == 0 {
		t.Errorf("lost %d, kept %d times", lost, kept)
	}
}

// After two syncs that failed a power cut shows what was there before both.
func TestFailedSyncsOfTheSamePlace(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(100) {
		d := diskWith(t, seed, map[string]string{"f": "11"})
		n, _ := d.Walk("f")
		d.Sync(n, d.seq)
		d.Write(n, []byte("22"), 0)
		d.FailSync(n, d.seq)
		d.Write(n, []byte("33"), 0)
		d.FailSync(n, d.seq)
		d.Truncate(n, 1)
		d.Truncate(n, 2)
		d.Sync(n, d.seq)
		d.Crash()
		seen[string(n.data)] = true
	}
	for _, want := range []string{"1\x00", "2\x00", "3\x00"} {
		if !seen[want] {
			t.Errorf("never seen: %q", want)
		}
	}
	if len(seen) != 3 {
		t.Errorf("seen %v", seen)
	}
}

func TestRot(t *testing.T) {
	flipped := map[int]bool{}
	for seed := range uint64(200) {
		d := diskWith(t, seed, map[string]string{"a.log": "0123456789", "other": "xx"})
		n, _ := d.Walk("a.log")
		if _, ok := d.Rot([]string{"/*.log"}); ok {
			t.Fatal("a bit of what was never synced flipped")
		}
		d.Sync(n, d.seq)
		d.Write(n, []byte("abc"), 10)
		d.Sync(n, d.seq)
		d.Write(n, []byte("def"), 13)
		what, ok := d.Rot([]string{"/*.log"})
		if !ok || !strings.Contains(what, "/a.log") {
			t.Fatalf("%q, %v", what, ok)
		}
		b := make([]byte, 20)
		size, wrong := n.Read(b, 0)
		if size != 16 || wrong != 1 || bytes.Equal(b[:size], n.data) {
			t.Fatalf("read %d bytes, %d wrong: %q", size, wrong, b)
		}
		at := 0
		for b[at] == n.data[at] {
			at++
		}
		flipped[at] = true
		if size, wrong = n.Read(b, at+1); wrong != 0 || size != 15-at {
			t.Fatalf("behind it: %d bytes, %d wrong", size, wrong)
		}
		if seed%2 == 0 {
			d.Write(n, []byte{n.data[at]}, at)
		} else {
			d.Unrot()
		}
		if _, wrong = n.Read(b, 0); wrong != 0 {
			t.Fatal("it is still wrong")
		}
	}
	for at := range flipped {
		if at >= 10 {
			t.Errorf("byte %d flipped, which came with the newest sync", at)
		}
	}
	if len(flipped) != 10 {
		t.Errorf("%d of 10 bytes flipped in one run or another", len(flipped))
	}
}
