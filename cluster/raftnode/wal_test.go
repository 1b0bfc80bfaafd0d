package raftnode

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func noSync(string) error { return nil }

func openTestWAL(t *testing.T, dir string) *wal {
	t.Helper()
	w, err := openWAL(dir, noSync)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.close() })
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
func contents(t *testing.T, w *wal) map[string]any {
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
	sizes, states := []int64{0}, []map[string]any{contents(t, w)}
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
	for cut := range len(whole) + 1 {
		for _, damage := range []bool{false, true} {
			b := append([]byte(nil), whole[:cut]...)
			if damage && cut > 0 {
				b[cut-1] ^= 0x40
			}
			d := filepath.Join(t.TempDir(), "d")
			os.Mkdir(d, 0o755)
			if err := os.WriteFile(filepath.Join(d, walFile), b, 0o644); err != nil {
				t.Fatal(err)
			}
			n := 0 // records that are whole
			for n+1 < len(sizes) && sizes[n+1] <= int64(cut) {
				n++
			}
			if damage && n > 0 && sizes[n] == int64(cut) {
				n--
			}
			again, err := openWAL(d, noSync)
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
	w, err := openWAL(dir, func(string) error {
		synced++
		if fail {
			return fmt.Errorf("no luck")
		}
		return nil
	})
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
