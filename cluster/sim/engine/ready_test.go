package engine

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// What was made is found again, unless it is damaged or can't be kept.
func TestReadyIsKept(t *testing.T) {
	module := append(ofGo(leaf()), section(sectionMemory, 1, 0, 1)...)
	module = append(module, section(sectionData, append([]byte{1}, "\x00\x41\x02\x0b\x02ab"...)...)...)
	want, err := makeReady(module, lean)
	if err != nil {
		t.Fatal(err)
	}
	if want.hash != sha256.Sum256(module) || haveImages && string(want.image) != "\x00\x00ab" || bytes.Equal(want.code, module) {
		t.Fatalf("%x", want)
	}
	dir := filepath.Join(t.TempDir(), "new")
	only := func() string {
		t.Helper()
		all, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(all) != 1 {
			t.Fatalf("%q, %v", all, err)
		}
		return all[0]
	}
	write := func(b []byte) {
		t.Helper()
		if err := os.WriteFile(only(), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := func(what string, want ready) {
		t.Helper()
		if got, err := keptReady(module, dir); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %x and %v, want %x", what, got, err, want)
		}
	}
	check("at first", want)
	kept, err := os.ReadFile(only())
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []ready{{code: []byte("kept"), image: []byte("image")}, {code: []byte("kept")}} {
		write(other.append(nil))
		check("the second time", other)
	}
	for n := range 60 {
		write(kept[:n])
		check("cut off", want)
	}
	write(append(bytes.Clone(kept), 0))
	check("too long", want)
	check("mended", want)
	dir = filepath.Join(only(), "no folder")
	check("nowhere to keep it", want)
	dir = ""
	check("not to be kept", want)
}

func TestReadyUnpacks(t *testing.T) {
	module := ofGo(leaf())
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	w.Write(module)
	w.Close()
	want, err := makeReady(module, lean)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := makeReady(packed.Bytes(), lean); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%x and %v, want %x", got, err, want)
	}
	if _, err := makeReady(packed.Bytes()[:packed.Len()-1], lean); err == nil {
		t.Error("half of it is enough")
	}
}
