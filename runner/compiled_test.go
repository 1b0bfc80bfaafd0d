package runner

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What was compiled for a module is kept as long as it is used, in a folder of its
// own, and not much longer, whichever engine it is for.
func TestCompiledDir(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", home)
	t.Setenv("HOME", home)
	put := func(name string, unused time.Duration) string {
		t.Helper()
		dir := filepath.Join(home, "coup", name)
		then := time.Now().Add(-unused)
		if err := os.MkdirAll(filepath.Join(dir, "deep"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(dir, then, then); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	there := func(dir string) bool {
		_, err := os.Stat(dir)
		return err == nil
	}
	const day = 24 * time.Hour
	one := compiledDir([]byte("one"))
	if !there(one) {
		t.Skip("caches are elsewhere on this system")
	}
	old, recent := put("wasm/old", 40*day), put("wasm/recent", 10*day)
	oldOfAnother, foreign := put("wasm-another/old", 40*day), put("else/old", 40*day)
	if err := os.Chtimes(one, time.Time{}, time.Now().Add(-40*day)); err != nil {
		t.Fatal(err)
	}
	if compiledDir([]byte("one")) != one || !there(old) {
		t.Error("what is there already made it look for others")
	}
	two := compiledDir([]byte("two"))
	if two == one {
		t.Error("two modules share a folder")
	}
	for dir, want := range map[string]bool{one: true, two: true, recent: true, foreign: true, old: false, oldOfAnother: false} {
		if there(dir) != want {
			t.Errorf("%s: there %v, want %v", dir, !want, want)
		}
	}
}
