package sim

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tetratelabs/wazero/experimental/sys"
)

func must(t *testing.T, errno sys.Errno) {
	t.Helper()
	if errno != 0 {
		t.Fatal(errno)
	}
}

func diskWith(t *testing.T, seed uint64, files map[string]string) *disk {
	t.Helper()
	d := newDisk(rand.New(rand.NewPCG(seed, 1)))
	for name, data := range files {
		n, errno := d.create(name, false)
		must(t, errno)
		d.write(n, []byte(data), 0)
	}
	return d
}

func TestNames(t *testing.T) {
	d := diskWith(t, 1, map[string]string{"a": "1"})
	for _, step := range []struct {
		what string
		got  sys.Errno
		want sys.Errno
	}{
		{"a directory", func() sys.Errno { _, e := d.create("dir", true); return e }(), 0},
		{"it twice", func() sys.Errno { _, e := d.create("/dir", true); return e }(), sys.EEXIST},
		{"a file in a file", func() sys.Errno { _, e := d.create("a/b", false); return e }(), sys.ENOTDIR},
		{"a file nowhere", func() sys.Errno { _, e := d.create("x/y", false); return e }(), sys.ENOENT},
		{"move into it", d.rename("a", "dir/b"), 0},
		{"move what is gone", d.rename("a", "c"), sys.ENOENT},
		{"move over a directory", d.rename("dir/b", "dir"), sys.EISDIR},
		{"remove a directory that holds something", d.remove("dir", true), sys.ENOTEMPTY},
		{"remove a directory as a file", d.remove("dir", false), sys.EISDIR},
		{"remove a file as a directory", d.remove("dir/b", true), sys.ENOTDIR},
		{"remove the file", d.remove("dir/b", false), 0},
		{"remove the directory", d.remove("dir", true), 0},
		{"remove it twice", d.remove("dir", true), sys.ENOENT},
	} {
		if step.got != step.want {
			t.Errorf("%s: %v, want %v", step.what, step.got, step.want)
		}
	}
}

// A sync makes its file durable, and all names; what came later may be lost,
// torn or kept, but a prefix that was synced is always there.
func TestPowerCut(t *testing.T) {
	outcomes := map[string]bool{}
	for seed := range uint64(300) {
		d := diskWith(t, seed, map[string]string{"log": "0123456789"})
		n, _ := d.walk("log")
		d.sync(n, d.seq)
		d.write(n, []byte("abcdef"), 10)
		d.write(n, []byte("ghi"), 16)
		lost := d.crash()
		if !bytes.HasPrefix(n.data, []byte("0123456789")) {
			t.Fatalf("seed %d: what was synced is gone: %q", seed, n.data)
		}
		rest := string(n.data[10:])
		outcomes[rest] = true
		for i, c := range []byte(rest) {
			if c != 0 && c != "abcdefghi"[i] {
				t.Fatalf("seed %d: made up: %q", seed, rest)
			}
		}
		if whole := rest == "abcdefghi"; whole && lost > 1 {
			t.Fatalf("seed %d: nothing is missing, but %d changes were lost", seed, lost)
		}
		if len(n.dirty) != 0 || len(d.names) != 0 {
			t.Fatal("something is left to undo")
		}
	}
	for _, want := range []string{"", "abcdef", "abc", "\x00\x00\x00\x00\x00\x00", "abcdefghi"} {
		if !outcomes[want] {
			t.Errorf("never seen: %q", want)
		}
	}
}

func TestPowerCutAfterOverwriteAndTruncate(t *testing.T) {
	for seed := range uint64(100) {
		d := diskWith(t, seed, map[string]string{"f": "0123456789"})
		n, _ := d.walk("f")
		d.sync(n, d.seq)
		synced := d.seq
		d.truncate(n, 4)
		d.write(n, []byte("XY"), 2)
		if seed%2 == 0 { // a sync that began before them and ends after them
			d.sync(n, synced)
		}
		d.crash()
		ok := []string{"0123456789", "0123", "01XY", "01X3", "0123456789"}
		if !slices.Contains(ok, string(n.data)) {
			t.Fatalf("seed %d: %q", seed, n.data)
		}
	}
}

func TestPowerCutAndNames(t *testing.T) {
	kept, undone := 0, 0
	for seed := range uint64(100) {
		d := diskWith(t, seed, map[string]string{"old": "o", "new": "n"})
		n, _ := d.walk("new")
		d.sync(n, d.seq)
		must(t, d.rename("new", "old"))
		d.crash()
		a, errA := d.walk("old")
		_, errB := d.walk("new")
		switch {
		case errA == 0 && a == n && errB == sys.ENOENT:
			kept++
		case errA == 0 && a != n && errB == 0:
			undone++
		default:
			t.Fatalf("seed %d: neither before nor after: %v %v", seed, errA, errB)
		}
		// Names are durable as soon as anything is synced.
		must(t, d.remove("old", false))
		d.sync(n, d.seq)
		d.crash()
		if _, errno := d.walk("old"); errno != sys.ENOENT {
			t.Fatalf("seed %d: a removal was lost after a sync", seed)
		}
	}
	if kept == 0 || undone == 0 {
		t.Errorf("kept %d, undone %d times", kept, undone)
	}
}

func TestPowerCutIsTheSameForASeed(t *testing.T) {
	run := func() []byte {
		d := diskWith(t, 5, nil)
		for _, name := range []string{"a", "b", "c"} {
			n, _ := d.create(name, false)
			for i := range 20 {
				d.write(n, bytes.Repeat([]byte{byte(i)}, 300), i*300)
			}
		}
		d.crash()
		var all []byte
		for _, n := range d.all() {
			all = append(all, n.data...)
		}
		return all
	}
	if !bytes.Equal(run(), run()) {
		t.Error("two crashes of one seed differ")
	}
}
