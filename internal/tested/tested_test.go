package tested

import (
	"os"
	"strings"
	"testing"
)

func TestWith(t *testing.T) {
	for release, listed := range map[string]bool{"go1.26.0": true, "go1.26": false, "go1.26.00": false, "go9.9.9": false, "": false, "v1.12.0": false, "#": false} {
		if err := With("go", release); (err == nil) != listed {
			t.Errorf("go %q: %v", release, err)
		}
	}
	if err := With("#", "Releases"); err == nil {
		t.Error("a comment counts")
	}
}

// A machine with an older Go gets the releases of Go and wazero that go.mod names.
func TestWhatGoModNames(t *testing.T) {
	text, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "go":
			seen++
			if err := With("go", "go"+f[1]); err != nil {
				t.Error(err)
			}
		case "github.com/tetratelabs/wazero":
			seen++
			if err := With("wazero", f[1]); err != nil {
				t.Error(err)
			}
		}
	}
	if seen != 2 {
		t.Errorf("go.mod names %d of them", seen)
	}
}
