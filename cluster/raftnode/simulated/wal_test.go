package simulated

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func noSync(string) error { return nil }

func openTestWAL(t *testing.T, dir string) *WAL {
	t.Helper()
	w, err := OpenWAL(dir, noSync, Flaws{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func entry(i, term uint64) *raft.Log {
	l := &raft.Log{Index: i, Term: term, Type: raft.LogCommand, Data: fmt.Appendf(nil, "entry %d of term %d", i, term)}
	if i%2 == 0 {
		l.AppendedAt = time.Unix(0, int64(i))
		l.Extensions = []byte{byte(i)}
	}
	return l
}

// contents is all that a store holds.
func contents(t *testing.T, w *WAL) map[string]any {
	t.Helper()
	all := map[string]any{}
	first, _ := w.FirstIndex()
	last, _ := w.LastIndex()
	all["range"] = [2]uint64{first, last}
	for i := first; i <= last && i > 0; i++ {
		var l raft.Log
		if err := w.GetLog(i, &l); err != nil {
			all[fmt.Sprint(i)] = err.Error()
			continue
		}
		all[fmt.Sprint(i)] = l
	}
	for _, key := range []string{"term", "vote"} {
		if v, err := w.Get([]byte(key)); err == nil {
			all[key] = string(v)
		}
	}
	return all
}

func TestWAL(t *testing.T) {
	dir := t.TempDir()
	w := openTestWAL(t, dir)
	if _, err := w.Get([]byte("term")); err == nil || err.Error() != "not found" {
		t.Errorf("a key that there is not: %v", err)
	}
	for _, err := range []error{
		w.StoreLogs([]*raft.Log{entry(1, 1), entry(2, 1), entry(3, 1)}),
		w.SetUint64([]byte("term"), 7), w.Set([]byte("vote"), []byte("n1")), w.Set([]byte("vote"), []byte("n2")),
		w.StoreLog(entry(4, 2)), w.DeleteRange(3, 4), w.StoreLog(entry(3, 3)), w.DeleteRange(1, 1),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	got := contents(t, w)
	want := map[string]any{"range": [2]uint64{2, 3}, "2": *entry(2, 1), "3": *entry(3, 3), "term": "\x00\x00\x00\x00\x00\x00\x00\x07", "vote": "n2"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	if again := contents(t, openTestWAL(t, dir)); !reflect.DeepEqual(again, got) {
		t.Errorf("read again: %v\nwant %v", again, got)
	}
	var l raft.Log
	if err := w.GetLog(1, &l); err != raft.ErrLogNotFound {
		t.Errorf("an entry that was deleted: %v", err)
	}
	if term, err := w.GetUint64([]byte("term")); err != nil || term != 7 {
		t.Errorf("term %d, %v", term, err)
	}
}

// However the file is cut off or damaged at its end, what is read is what
// stood there after some earlier write, and writing goes on.
func TestWALTorn(t *testing.T) {
	dir := t.TempDir()
	w := openTestWAL(t, dir)
	sizes, states := []int64{w.size}, []map[string]any{contents(t, w)}
	for i := range uint64(8) {
		if err := w.StoreLogs([]*raft.Log{entry(i+1, 1)}); err != nil {
			t.Fatal(err)
		}
		sizes, states = append(sizes, w.size), append(states, contents(t, w))
	}
	whole, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := int(sizes[0]); cut <= len(whole); cut++ {
		for _, damage := range []bool{false, true} {
			if damage && cut == int(sizes[0]) {
				continue // the first frame is never torn
			}
			b := append([]byte(nil), whole[:cut]...)
			if damage {
				b[cut-1] ^= 0x40
			}
			d := dirWith(t, b)
			n := 0 // records that are whole
			for n+1 < len(sizes) && sizes[n+1] <= int64(cut) {
				n++
			}
			if damage && n > 0 && sizes[n] == int64(cut) {
				n--
			}
			again, err := OpenWAL(d, noSync, Flaws{})
			if err != nil {
				t.Fatalf("cut at %d, damaged %v: %v", cut, damage, err)
			}
			if got := contents(t, again); !reflect.DeepEqual(got, states[n]) {
				t.Fatalf("cut at %d, damaged %v: %v, want %v", cut, damage, got, states[n])
			}
			if err := again.StoreLog(entry(uint64(n)+1, 9)); err != nil {
				t.Fatal(err)
			}
			got := contents(t, again)
			again.file.Close()
			if third := contents(t, openTestWAL(t, d)); !reflect.DeepEqual(third, got) {
				t.Fatalf("cut at %d: written after that and read again: %v, want %v", cut, third, got)
			}
		}
	}
}

// dirWith is a directory with a file of the log.
func dirWith(t *testing.T, file []byte) string {
	t.Helper()
	d := t.TempDir()
	if err := os.WriteFile(filepath.Join(d, walFile), file, 0o644); err != nil {
		t.Fatal(err)
	}
	return d
}

// A bit that flips in what is followed by something whole is no torn write:
// the node must not go on without what stood there.
func TestWALDamaged(t *testing.T) {
	w := openTestWAL(t, t.TempDir())
	var ends []int64
	for i := range uint64(3) {
		ends = append(ends, w.size)
		if err := w.StoreLogs([]*raft.Log{entry(3*i+1, 1), entry(3*i+2, 1), entry(3*i+3, 1)}); err != nil {
			t.Fatal(err)
		}
	}
	whole, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	newest := int(ends[len(ends)-1])
	for i := range newest {
		b := slices.Clone(whole)
		b[i] ^= 1 << (i % 8)
		again, err := OpenWAL(dirWith(t, b), noSync, Flaws{})
		if err == nil {
			again.Close()
			t.Fatalf("byte %d of %d is damaged, and nothing is said", i, len(b))
		}
		if !strings.Contains(err.Error(), "damaged at byte") {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
	// The first frame is never torn: a file that ends in it is damaged.
	if _, err := OpenWAL(dirWith(t, whole[:ends[0]-1]), noSync, Flaws{}); err == nil {
		t.Error("half of the first frame was taken for a new file")
	}
	// Whether the newest frame was torn or damaged can't be told.
	b := slices.Clone(whole)
	b[len(b)-1] ^= 1
	again, err := OpenWAL(dirWith(t, b), noSync, Flaws{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if last, _ := again.LastIndex(); last != 6 {
		t.Errorf("without the last frame the newest entry is %d, want 6", last)
	}
}

// What an fsync failed to write can be read all the same; so what was read is
// written again before it counts.
func TestWALIsWrittenAnewWhenItIsOpened(t *testing.T) {
	dir := t.TempDir()
	w := openTestWAL(t, dir)
	if err := w.StoreLog(entry(1, 1)); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(w.path)
	if err != nil {
		t.Fatal(err)
	}
	var synced []string
	again, err := OpenWAL(dir, func(path string) error {
		synced = append(synced, filepath.Base(path))
		return nil
	}, Flaws{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	after, err := os.Stat(w.path)
	if err != nil {
		t.Fatal(err)
	}
	if os.SameFile(before, after) {
		t.Error("it is still the same file")
	}
	if want := []string{walFile + ".new", filepath.Base(dir)}; !slices.Equal(synced, want) {
		t.Errorf("synced %v, want %v", synced, want)
	}
}

// Written anew, the file holds the same.
func TestWALIsWrittenAnew(t *testing.T) {
	dir := t.TempDir()
	w := openTestWAL(t, dir)
	rng := rand.New(rand.NewPCG(1, 1))
	last := uint64(0)
	file := w.file
	for range 400 {
		var batch []*raft.Log
		for range 1 + rng.IntN(20) {
			last++
			l := entry(last, 1)
			l.Data = make([]byte, rng.IntN(1000))
			batch = append(batch, l)
		}
		if err := w.StoreLogs(batch); err != nil {
			t.Fatal(err)
		}
		if first, _ := w.FirstIndex(); last-first > 200 {
			if err := w.DeleteRange(first, last-100); err != nil {
				t.Fatal(err)
			}
		}
	}
	if w.file == file {
		t.Error("the file was never written anew")
	}
	if w.size > 2*walCompact {
		t.Errorf("the file has %d bytes for %d that count", w.size, w.live)
	}
	got := contents(t, w)
	if again := contents(t, openTestWAL(t, dir)); !reflect.DeepEqual(again, got) {
		t.Error("read again, it holds something else")
	}
}

func TestWALSyncsBeforeItAnswers(t *testing.T) {
	dir := t.TempDir()
	synced := 0
	fail := false
	w, err := OpenWAL(dir, func(string) error {
		synced++
		if fail {
			return fmt.Errorf("no luck")
		}
		return nil
	}, Flaws{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.file.Close()
	before := synced
	if err := w.StoreLogs([]*raft.Log{entry(1, 1), entry(2, 1)}); err != nil || synced != before+1 {
		t.Errorf("%d syncs, %v", synced-before, err)
	}
	fail = true
	if err := w.StoreLog(entry(3, 1)); err == nil {
		t.Error("a write that was not synced succeeded")
	}
	fail = false
	if err := w.StoreLog(entry(3, 1)); err == nil {
		t.Error("after a failed fsync nobody knows what is on the disk, and it goes on")
	}
	if last, _ := w.LastIndex(); last != 2 {
		t.Errorf("newest entry is %d", last)
	}
}

// A frame of which some sectors were not written is not there, unless nobody
// looks at the checksum.
func TestBugTornWrite(t *testing.T) {
	w := openTestWAL(t, t.TempDir())
	torn := w.size
	if err := w.StoreLogs([]*raft.Log{entry(1, 1), {Index: 2, Term: 1, Data: bytes.Repeat([]byte("x"), 600)}}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	clear(b[torn+300:])
	for bug, want := range map[Flaws]uint64{{}: 0, {TornWrite: true}: 2} {
		again, err := OpenWAL(dirWith(t, b), noSync, bug)
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		if last, _ := again.LastIndex(); last != want {
			t.Errorf("%v: the newest entry is %d, want %d", bug, last, want)
		}
	}
}

// After an fsync that failed the log takes nothing more, and a hole in it is
// no end; unless errors of fsync are ignored.
func TestBugIgnoredSyncError(t *testing.T) {
	for _, bug := range []Flaws{{}, {IgnoredSyncError: true}} {
		fail := false
		w, err := OpenWAL(t.TempDir(), func(string) error {
			if fail {
				return errors.New("no luck")
			}
			return nil
		}, bug)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		hole := w.size
		fail = true
		if err := w.StoreLog(entry(1, 1)); (err == nil) != (bug != Flaws{}) {
			t.Errorf("%v: an fsync failed, and the write says %v", bug, err)
		}
		fail = false
		if err := w.StoreLog(entry(2, 1)); (err == nil) != (bug != Flaws{}) {
			t.Errorf("%v: after that a write says %v", bug, err)
		}
		if bug == (Flaws{}) {
			continue
		}
		b, err := os.ReadFile(w.path)
		if err != nil {
			t.Fatal(err)
		}
		clear(b[hole : hole+20])
		if _, err := OpenWAL(dirWith(t, b), noSync, Flaws{}); err == nil {
			t.Error("a hole was taken for the end")
		}
		again, err := OpenWAL(dirWith(t, b), noSync, bug)
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		if last, _ := again.LastIndex(); last != 0 {
			t.Errorf("the newest entry is %d", last)
		}
	}
}
