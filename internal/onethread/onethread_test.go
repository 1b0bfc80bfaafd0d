package onethread

import (
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"coup/internal/tested"
)

func goroot(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// The files of the Go release that this module is built with are known, if it is a tested
// one. Another release may have others; then nothing is changed.
func TestThisReleaseIsKnown(t *testing.T) {
	dir := t.TempDir()
	list, err := overlay(goroot(t), dir)
	if errors.Is(err, ErrUnknown) && tested.With("go", runtime.Version()) != nil {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	var listed struct{ Replace map[string]string }
	if err := json.Unmarshal(text, &listed); err != nil || len(listed.Replace) != 8 {
		t.Fatalf("%s: %v", text, err)
	}
	for of, by := range listed.Replace {
		was, err := os.ReadFile(of)
		if err != nil {
			t.Fatal(err)
		}
		is, err := os.ReadFile(by)
		if err != nil {
			t.Fatal(err)
		}
		if string(was) == string(is) {
			t.Errorf("%s is not changed", of)
		}
		if !strings.HasSuffix(of, ".go") {
			continue
		}
		// What is added at the end moves nothing.
		if was, is := strings.Count(string(was), "\n"), strings.Count(string(is), "\n"); was != is && !strings.HasSuffix(of, system) {
			t.Errorf("the lines of %s have other numbers", of)
		}
		if _, err := parser.ParseFile(token.NewFileSet(), by, is, 0); err != nil {
			t.Error(err)
		}
	}
}

// With files that are not as they are known, nothing is changed, and that is said.
func TestAnotherReleaseStaysAsItIs(t *testing.T) {
	root := goroot(t)
	for name, spoil := range map[string]func(text string) string{
		atomics:    func(text string) string { return strings.ReplaceAll(text, "//go:noinline", "") },
		locks:      func(text string) string { return strings.ReplaceAll(text, "throw(", "fatal(") },
		system:     func(text string) string { return strings.ReplaceAll(text, "nevents *size", "events *size") },
		scheduler:  func(text string) string { return strings.ReplaceAll(text, "netpoll(0)", "netpoll(1)") },
		selects:    func(text string) string { return strings.ReplaceAll(text, "lockorder", "order") },
		syncs:      func(text string) string { return text + "func SwapInt8(addr *int8, new int8) (old int8)\n" },
		syncs64:    func(text string) string { return text + "}" },
		trampoline: func(text string) string { return strings.ReplaceAll(text, "JMP", "CALL") },
	} {
		copied := t.TempDir()
		for _, file := range []string{atomics, locks, system, scheduler, selects, syncs, syncs64, trampoline} {
			text, err := os.ReadFile(filepath.Join(root, "src", file))
			if err != nil {
				t.Fatal(err)
			}
			if file == name {
				text = []byte(spoil(string(text)))
			}
			to := filepath.Join(copied, "src", file)
			if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, text, 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		list, err := overlay(copied, t.TempDir())
		if !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v, want ErrUnknown", name, err)
			continue
		}
		if text, err := os.ReadFile(list); err != nil || string(text) != `{"Replace":{}}` {
			t.Errorf("%s: %s, %v", name, text, err)
		}
	}
}

// A release that the go command has fetched is in the cache of modules, where it
// allows no overlay. It is used by another name then.
func TestOutsideTheModuleCache(t *testing.T) {
	tmp := t.TempDir()
	cache := filepath.Join(tmp, "mod")
	fetched, own := filepath.Join(cache, "golang.org", "toolchain@v0.0.1-go1.2.3"), filepath.Join(tmp, "modern")
	for _, dir := range []string{filepath.Join(fetched, "src"), own} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(tmp, "_dir")
	if got, err := outside(cache, own, dir); got != own || err != nil {
		t.Errorf("%s becomes %s, %v", own, got, err)
	}
	for range 2 {
		got, err := outside(cache, fetched, dir)
		if err != nil || filepath.Dir(got) != dir {
			t.Errorf("%s becomes %s, %v", fetched, got, err)
		}
		if _, err := os.Stat(filepath.Join(got, "src")); err != nil {
			t.Error(err)
		}
	}
	// What stands in the way is said.
	blocked := filepath.Join(tmp, "_blocked")
	if err := os.MkdirAll(filepath.Join(blocked, filepath.Base(fetched)), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := outside(cache, fetched, blocked); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("something else in the link's place: %v", err)
	}
}
