//go:build linux

package keys

import (
	"os"
	"testing"
	"time"
)

// A file that has not changed for a while is not read again, and one that has is: also if its
// size and the time of its modification are what they were.
func TestUnchangedFilesAreNotRead(t *testing.T) {
	w := newTown(t, Flaws{}, func(s *Store) func(Identity) error { return s.Anybody })
	put := func(generation int) (size int64) {
		t.Helper()
		w.give("n1", generation, generation)
		if err := os.Chtimes(w.file, time.Unix(0, 0), time.Unix(0, 0)); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(w.file)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	size := put(1)
	fresh := w.store.current()
	if w.store.unchanged(markOf(w.file)) != nil {
		t.Error("a change of this moment is trusted")
	}
	for begun := time.Now(); time.Since(begun) < time.Minute && w.store.unchanged(markOf(w.file)) == nil; time.Sleep(20 * time.Millisecond) {
		w.store.current()
	}
	if w.store.unchanged(markOf(w.file)) != fresh {
		t.Fatal("a file that rests is read again and again")
	}
	for generation := 2; put(generation) != size; generation++ { // certificates may differ by some bytes
		if generation == 200 {
			t.Fatal("no other keys take as many bytes")
		}
	}
	if got := w.store.current(); got.generation == 1 {
		t.Errorf("it has the keys of generation %d", got.generation)
	}
}
