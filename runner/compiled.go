package runner

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"coup/cluster/sim"
)

// keptUnused is how long what was compiled is kept for a module that nobody runs.
// It is some 25 MB for each build of the node.
const keptUnused = 30 * 24 * time.Hour

// compiledDir returns the directory where a module's compiled form is kept between
// processes, or "" if there is none. It removes those of other modules that have not
// been used for a long time; a process that needs one of them compiles again.
func compiledDir(module []byte) string {
	all := sim.CacheDir()
	if all == "" {
		return ""
	}
	hash := sha256.Sum256(module)
	dir := filepath.Join(all, hex.EncodeToString(hash[:8]))
	now := time.Now()
	// The time says when it was used last.
	if err := os.Chtimes(dir, now, now); errors.Is(err, fs.ErrNotExist) {
		if os.MkdirAll(dir, 0o700) != nil {
			return "" // it is compiled each time
		}
		dropUnused(filepath.Dir(all), now.Add(-keptUnused))
	}
	return dir
}

// dropUnused removes from a directory what was not used since then.
func dropUnused(dir string, since time.Time) {
	kept, _ := filepath.Glob(filepath.Join(dir, "wasm*", "*"))
	for _, path := range kept {
		if used, err := os.Stat(path); err == nil && used.ModTime().Before(since) {
			os.RemoveAll(path) // what can't be removed is tried the next time
		}
	}
}
