package engine

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// ready is a module in the form that is compiled: rewritten by lean, and without its data
// if these can be mapped from a file (see pages).
type ready struct {
	hash  [sha256.Size]byte // of the module as it was built
	code  []byte            // a module
	image []byte            // what memory begins with; nil: code says it
}

// makeReady makes a module ready, which may be packed with gzip.
func makeReady(module []byte, rewrite func(module []byte) []byte) (r ready, err error) {
	if bytes.HasPrefix(module, []byte{0x1f, 0x8b}) {
		if module, err = unpack(module); err != nil {
			return r, fmt.Errorf("unpack the node's program: %w", err)
		}
	}
	r.hash, r.code = sha256.Sum256(module), rewrite(module)
	if haveImages {
		if rest, image, ok := takeData(r.code); ok {
			r.code, r.image = rest, image
		}
	}
	return r, nil
}

func unpack(packed []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return b, r.Close()
}

// keptReady is makeReady with a cache of results in the directory cache, unless that is
// "". makeReady takes half a second, longer than everything else at the start of a run. If
// the cache can't be read or written, the result is made again.
func keptReady(module []byte, cache string) (ready, error) {
	name := ""
	if key, ok := readyKey(module); ok && cache != "" {
		name = filepath.Join(cache, "ready-"+key)
		if b, err := os.ReadFile(name); err == nil {
			if r, ok := parseReady(b); ok {
				return r, nil
			}
		}
	}
	r, err := makeReady(module, lean)
	if err == nil && name != "" {
		writeWhole(name, r.append(nil))
	}
	return r, err
}

// leanSource is what makes a module lean: another version makes another module.
//
//go:embed lean.go leancondition.go leanentry.go leanframe.go leanpointer.go leanread.go leanwrite.go image.go
var leanSource embed.FS

// readyKey is the key of a module in the cache. It also depends on the version of lean.
func readyKey(module []byte) (key string, ok bool) {
	h := sha256.New()
	sum := sha256.Sum256(module)
	h.Write(sum[:])
	files, err := fs.Glob(leanSource, "*")
	if err != nil {
		return "", false
	}
	for _, name := range files {
		b, err := leanSource.ReadFile(name)
		if err != nil {
			return "", false
		}
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil)), true
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// append writes r behind b: a checksum of all the rest, the hash, how long the
// code is, the code, the image.
func (r ready) append(b []byte) []byte {
	begin := len(b)
	b = append(b, 0, 0, 0, 0)
	b = append(b, r.hash[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(r.code)))
	b = append(b, r.code...)
	b = append(b, r.image...)
	binary.LittleEndian.PutUint32(b[begin:], crc32.Checksum(b[begin+4:], castagnoli))
	return b
}

// parseReady reads what append wrote.
func parseReady(b []byte) (r ready, ok bool) {
	const header = 4 + sha256.Size + 8
	if len(b) < header || binary.LittleEndian.Uint32(b) != crc32.Checksum(b[4:], castagnoli) {
		return r, false
	}
	size, rest := binary.LittleEndian.Uint64(b[header-8:]), b[header:]
	if size > uint64(len(rest)) {
		return r, false
	}
	r.hash, r.code = [sha256.Size]byte(b[4:]), rest[:size]
	if size < uint64(len(rest)) {
		r.image = rest[size:]
	}
	return r, true
}

// writeWhole writes a file that others never see in part, if it can.
func writeWhole(name string, b []byte) {
	dir := filepath.Dir(name)
	os.MkdirAll(dir, 0o700) // if it can't be made, neither can the file
	f, err := os.CreateTemp(dir, ".ready-")
	if err != nil {
		return
	}
	_, err = f.Write(b)
	if failed := f.Close(); err != nil || failed != nil || os.Rename(f.Name(), name) != nil {
		os.Remove(f.Name())
	}
}
