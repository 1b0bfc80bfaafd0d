package disk

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

func diskWith(t *testing.T, seed uint64, files map[string]string) *Disk {
	t.Helper()
	d := New(rand.New(rand.NewPCG(seed, 1)))
	for name, data := range files {
		n, errno := d.Create(name, false)
		must(t, errno)
		d.Write(n, []byte(data), 0)
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
		{"a directory", func() sys.Errno { _, e := d.Create("dir", true); return e }(), 0},
		{"it twice", func() sys.Errno { _, e := d.Create("/dir", true); return e }(), sys.EEXIST},
		{"a file in a file", func() sys.Errno { _, e := d.Create("a/b", false); return e }(), sys.ENOTDIR},
		{"a file nowhere", func() sys.Errno { _, e := d.Create("x/y", false); return e }(), sys.ENOENT},
		{"move into it", d.Rename("a", "dir/b"), 0},
		{"move what is gone", d.Rename("a", "c"), sys.ENOENT},
		{"move over a directory", d.Rename("dir/b", "dir"), sys.EISDIR},
		{"remove a directory that holds something", d.Remove("dir", true), sys.ENOTEMPTY},
		{"remove a directory as a file", d.Remove("dir", false), sys.EISDIR},
		{"remove a file as a directory", d.Remove("dir/b", true), sys.ENOTDIR},
		{"remove the file", d.Remove("dir/b", false), 0},
		{"remove the directory", d.Remove("dir", true), 0},
		{"remove it twice", d.Remove("dir", true), sys.ENOENT},
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
		n, _ := d.Walk("log")
		d.Sync(n, d.seq)
		d.Write(n, []byte("abcdef"), 10)
		d.Write(n, []byte("ghi"), 16)
		lost := d.Crash()
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
		n, _ := d.Walk("f")
		d.Sync(n, d.seq)
		synced := d.seq
		d.Truncate(n, 4)
		d.Write(n, []byte("XY"), 2)
		if seed%2 == 0 { // a sync that began before them and ends after them
			d.Sync(n, synced)
		}
		d.Crash()
		ok := []string{"0123456789", "0123", "01XY", "01X3", "0123456789"}
		if !slices.Contains(ok, string(n.data)) {
			t.Fatalf("seed %d: %q", seed, n.data)
		}
	}
}

// A file that was made longer, or written behind its end, is as long again as it was.
func TestPowerCutAfterGrowing(t *testing.T) {
	for name, c := range map[string]struct {
		grow func(d *Disk, n *Inode)
		ok   []string
	}{
		"truncate": {func(d *Disk, n *Inode) { d.Truncate(n, 6) }, []string{"abc", "abc\x00\x00\x00"}},
		"write behind": {func(d *Disk, n *Inode) { d.Write(n, []byte("xy"), 5) },
			[]string{"abc", "abc\x00\x00x", "abc\x00\x00xy", "abc\x00\x00\x00\x00"}},
		"both": {func(d *Disk, n *Inode) { d.Truncate(n, 6); d.Write(n, []byte("xy"), 4) },
			[]string{"abc", "abc\x00\x00\x00", "abc\x00x\x00", "abc\x00xy"}},
		"and shorter": {func(d *Disk, n *Inode) { d.Truncate(n, 6); d.Truncate(n, 2) }, []string{"abc", "abc\x00\x00\x00", "ab"}},
	} {
		seen := map[string]bool{}
		for seed := range uint64(200) {
			d := diskWith(t, seed, map[string]string{"f": "abc"})
			n, _ := d.Walk("f")
			d.Sync(n, d.seq)
			c.grow(d, n)
			d.Crash()
			if !slices.Contains(c.ok, string(n.data)) {
				t.Fatalf("%s, seed %d: %q", name, seed, n.data)
			}
			seen[string(n.data)] = true
		}
		for _, want := range c.ok {
			if !seen[want] {
				t.Errorf("%s: never seen: %q", name, want)
			}
		}
	}
}

// Whatever was done to a file before a power cut: afterwards it is as long as it was at some
// time since its newest sync, or ends within what was being written then.
func TestPowerCutAfterAnything(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 2))
		d := diskWith(t, seed, map[string]string{"f": "abc"})
		n, _ := d.Walk("f")
		most, least := n.Size(), 0
		for range r.IntN(12) {
			switch r.IntN(6) {
			case 0:
				d.Sync(n, d.Changes())
				most, least = n.Size(), n.Size()
			case 1:
				d.FailSync(n, d.Changes())
				least = 0
			case 2:
				d.Truncate(n, r.IntN(20))
			default:
				d.Write(n, make([]byte, 1+r.IntN(10)), r.IntN(20))
			}
			most, least = max(most, n.Size()), min(least, n.Size())
		}
		d.Crash()
		if n.Size() > most || n.Size() < least {
			t.Fatalf("seed %d: %d bytes, and there were %d to %d", seed, n.Size(), least, most)
		}
	}
}

func TestPowerCutAndNames(t *testing.T) {
	kept, undone := 0, 0
	for seed := range uint64(100) {
		d := diskWith(t, seed, map[string]string{"old": "o", "new": "n"})
		n, _ := d.Walk("new")
		d.Sync(n, d.seq)
		must(t, d.Rename("new", "old"))
		d.Crash()
		a, errA := d.Walk("old")
		_, errB := d.Walk("new")
		switch {
		case errA == 0 && a == n && errB == sys.ENOENT:
			kept++
		case errA == 0 && a != n && errB == 0:
			undone++
		default:
			t.Fatalf("seed %d: neither before nor after: %v %v", seed, errA, errB)
		}
		// Names are durable as soon as anything is synced.
		must(t, d.Remove("old", false))
		d.Sync(n, d.seq)
		d.Crash()
		if _, errno := d.Walk("old"); errno != sys.ENOENT {
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
			n, _ := d.Create(name, false)
			for i := range 20 {
				d.Write(n, bytes.Repeat([]byte{byte(i)}, 300), i*300)
			}
		}
		d.Crash()
		var all []byte
		for _, n := range d.All() {
			all = append(all, n.data...)
		}
		return all
	}
	if !bytes.Equal(run(), run()) {
		t.Error("two crashes of one seed differ")
	}
}
