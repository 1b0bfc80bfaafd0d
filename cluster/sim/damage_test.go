package sim

import (
	"bytes"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero/experimental/sys"
)

// What a failed sync did not write is read all the same until a power cut, and
// later syncs do not write it; what is written again is whole again.
func TestFailedSync(t *testing.T) {
	lost, kept := 0, 0
	for seed := range uint64(100) {
		d := diskWith(t, seed, map[string]string{"log": "0123456789"})
		n, _ := d.walk("log")
		d.sync(n, d.seq)
		d.write(n, []byte("abc"), 10)
		d.write(n, []byte("def"), 13)
		d.failSync(n, d.seq)
		d.write(n, []byte("ghi"), 16)
		d.write(n, []byte("D"), 13)
		d.sync(n, d.seq)
		if string(n.data) != "0123456789abcDefghi" {
			t.Fatalf("seed %d: programs read %q", seed, n.data)
		}
		d.crash()
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
		n, _ := d.walk("f")
		d.sync(n, d.seq)
		d.write(n, []byte("22"), 0)
		d.failSync(n, d.seq)
		d.write(n, []byte("33"), 0)
		d.failSync(n, d.seq)
		d.truncate(n, 1)
		d.truncate(n, 2)
		d.sync(n, d.seq)
		d.crash()
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
		n, _ := d.walk("a.log")
		if _, ok := d.rot([]string{"/*.log"}); ok {
			t.Fatal("a bit of what was never synced flipped")
		}
		d.sync(n, d.seq)
		d.write(n, []byte("abc"), 10)
		d.sync(n, d.seq)
		d.write(n, []byte("def"), 13)
		what, ok := d.rot([]string{"/*.log"})
		if !ok || !strings.Contains(what, "/a.log") {
			t.Fatalf("%q, %v", what, ok)
		}
		b := make([]byte, 20)
		size, wrong := n.read(b, 0)
		if size != 16 || wrong != 1 || bytes.Equal(b[:size], n.data) {
			t.Fatalf("read %d bytes, %d wrong: %q", size, wrong, b)
		}
		at := 0
		for b[at] == n.data[at] {
			at++
		}
		flipped[at] = true
		if size, wrong = n.read(b, at+1); wrong != 0 || size != 15-at {
			t.Fatalf("behind it: %d bytes, %d wrong", size, wrong)
		}
		if seed%2 == 0 {
			d.write(n, []byte{n.data[at]}, at)
		} else {
			d.unrot()
		}
		if _, wrong = n.read(b, 0); wrong != 0 {
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

func TestFullDisk(t *testing.T) {
	w := NewWorld(1)
	_, p := lan(w)
	f := files{p: p}
	o, errno := f.OpenFile("log", sys.O_CREAT|sys.O_RDWR, 0o644)
	must(t, errno)
	if n, errno := o.Write([]byte("0123456789")); n != 10 || errno != 0 {
		t.Fatal(n, errno)
	}
	p.m.fault.Full, p.m.room = true, 5
	if n, errno := o.Pwrite([]byte("abcdefgh"), 8); n != 7 || errno != 0 {
		t.Errorf("there was room for 2 bytes of the file and 5 new ones, and %d were written: %v", n, errno)
	}
	if n, errno := o.Write([]byte("x")); n != 1 || errno != 0 { // still at 10
		t.Errorf("overwriting needs no room: %d, %v", n, errno)
	}
	if _, errno := o.Pwrite([]byte("x"), 15); errno != noSpace || p.refused != 1 {
		t.Error("a full disk took another byte")
	}
	if _, errno := o.Pwrite([]byte("x"), 100); errno != noSpace {
		t.Error("a full disk took a byte far behind the end")
	}
	if _, errno := f.OpenFile("other", sys.O_CREAT|sys.O_RDWR, 0o644); errno != noSpace {
		t.Error("a full disk took another file")
	}
	if errno := f.Mkdir("dir", 0o755); errno != noSpace {
		t.Error("a full disk took a directory")
	}
	if errno := o.Truncate(100); errno != noSpace {
		t.Error("a full disk let a file grow")
	}
	must(t, o.Truncate(4))
	must(t, f.Rename("log", "log2"))
	if p.refused != 5 {
		t.Errorf("refused %d times", p.refused)
	}
}
