package sandbox

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadFromAnOffset(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	long := strings.Repeat("x", mostRead+7)
	if err := os.WriteFile(name, []byte(long), 0o600); err != nil {
		t.Fatal(err)
	}
	for offset, want := range map[int64]int{0: mostRead, mostRead: 7, mostRead + 7: 0, mostRead + 100: 0} {
		r, err := read(name, offset)
		if err != nil || len(r.Data) != want || r.Size != int64(len(long)) {
			t.Errorf("from %d: %d bytes of a file of %d, %v; want %d", offset, len(r.Data), r.Size, err, want)
		}
	}
	if _, err := read(name+"2", 0); err == nil {
		t.Error("a file that there is not was read")
	}
}
