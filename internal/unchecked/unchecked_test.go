package unchecked

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// source is where the release of wazero is that go.mod names.
func source(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", Module+"@"+required(t)).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func required(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == Module {
			return f[1]
		}
	}
	t.Fatal("go.mod does not name " + Module)
	return ""
}

// The release in use is known: one file of it is another one, one is added, and all
// others are as they were.
func TestThisReleaseIsKnown(t *testing.T) {
	from, to := source(t), filepath.Join(t.TempDir(), "_wazero")
	if err := os.MkdirAll(filepath.Join(to, "old"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Copy(from, to); err != nil {
		t.Fatal(err)
	}
	files := 0
	err := filepath.WalkDir(to, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		name, err := filepath.Rel(to, path)
		if err != nil {
			return err
		}
		is, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		was, err := os.ReadFile(filepath.Join(from, name))
		switch {
		case name == added:
			if err == nil {
				t.Error("the file to add is there already")
			}
		case err != nil:
			return err
		case name == lowering:
			if got := strings.Count(string(is), "!experimental.Unchecked"); got != 1 {
				t.Errorf("%d checks are left out", got)
			}
			if strings.Count(string(is), "\n") != strings.Count(string(was), "\n") {
				t.Error("its lines have other numbers")
			}
		case string(is) != string(was):
			t.Errorf("%s was changed", name)
		}
		return nil
	})
	if err != nil || files < 100 {
		t.Errorf("%d files, %v", files, err)
	}
	if _, err := os.Stat(filepath.Join(to, "old")); err == nil {
		t.Error("what was there before is there still")
	}
}

// Of a source that is not as it is known nothing is made.
func TestAnotherReleaseStaysAsItIs(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(source(t), lowering))
	if err != nil {
		t.Fatal(err)
	}
	for what, spoilt := range map[string]string{
		"no check":          strings.ReplaceAll(string(text), "AsExitIfTrueWithCode", "AsTrap"),
		"no such function":  strings.ReplaceAll(string(text), "memOpSetup", "setUp"),
		"already imported":  strings.Replace(string(text), "import (", "import ( \"x/experimental\";", 1),
		"not a Go source":   string(text) + "}",
		"nothing":           "",
		"another statement": strings.ReplaceAll(string(text), "builder.InsertInstruction(exitIfNZ)", "exitIfNZ.Insert(builder)"),
	} {
		from, to := t.TempDir(), filepath.Join(t.TempDir(), "_wazero")
		path := filepath.Join(from, lowering)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(spoilt), 0o644)); err != nil {
			t.Fatal(err)
		}
		if err := Copy(from, to); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v, want ErrUnknown", what, err)
		}
		if left, err := os.ReadDir(filepath.Dir(to)); err != nil || len(left) > 0 {
			t.Errorf("%s: left %v, %v", what, left, err)
		}
	}
	if err := Copy(t.TempDir(), filepath.Join(t.TempDir(), "x")); !errors.Is(err, ErrUnknown) {
		t.Errorf("an empty folder: %v", err)
	}
}
