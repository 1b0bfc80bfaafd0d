package sim

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
)

// leanSource is what makes a module lean: another version makes another module.
//
//go:embed lean.go leancondition.go leanentry.go leanframe.go leanpointer.go leanread.go leanwrite.go image.go
var leanSource embed.FS

// leanCached is lean, with what it made kept in the directory cache, unless that is "".
// It takes a third of a second, as long as all else at the start of a run. What can't be
// read or written there is made again. hash is the module's.
func leanCached(module []byte, hash, cache string) []byte {
	if cache == "" {
		return lean(module)
	}
	key := sha256.New()
	key.Write([]byte(hash))
	files, err := fs.Glob(leanSource, "*")
	for _, name := range files {
		b, failed := leanSource.ReadFile(name)
		if failed != nil {
			err = failed
		}
		key.Write(b)
	}
	if err != nil {
		return lean(module)
	}
	name := filepath.Join(cache, "lean-"+hex.EncodeToString(key.Sum(nil))+".wasm")
	// The hash of the rest comes first.
	if kept, err := os.ReadFile(name); err == nil && len(kept) > sha256.Size {
		if rest := kept[sha256.Size:]; bytes.Equal(hashOf(rest), kept[:sha256.Size]) {
			return rest
		}
	}
	made := lean(module)
	writeWhole(name, append(hashOf(made), made...))
	return made
}

func hashOf(b []byte) []byte {
	h := sha256.Sum256(b)
	return h[:]
}

// writeWhole writes a file that others never see in part, if it can.
func writeWhole(name string, b []byte) {
	f, err := os.CreateTemp(filepath.Dir(name), ".lean-")
	if err != nil {
		return
	}
	_, err = f.Write(b)
	if failed := f.Close(); err != nil || failed != nil || os.Rename(f.Name(), name) != nil {
		os.Remove(f.Name())
	}
}
