package results

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTail(t *testing.T) {
	dir := t.TempDir()
	folder, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	name := filepath.Join(dir, "f")
	add := func(text string) {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	var tail Tail
	expect := func(want string, more bool, most int64) {
		t.Helper()
		var got []string
		m, err := tail.Read(folder, "f", most, func(line []byte) { got = append(got, string(line)) })
		if err != nil || m != more || strings.Join(got, " ") != want {
			t.Errorf("%q, %v, %v; want %q, %v", got, m, err, want, more)
		}
	}
	expect("", false, 100) // it is not there yet
	add("a\nb\nc")
	expect("a b", false, 100)
	expect("", false, 100)
	add("d\n")
	expect("cd", false, 100) // what was half written is read whole
	add("1\n2\n3\n")
	expect("1 2", true, 4)
	expect("3", false, 100)
	add(strings.Repeat("x", 3*maxLine))
	expect("", false, 100*maxLine)
	add(strings.Repeat("x", maxLine) + "\nshort\n" + strings.Repeat("y", 100_000) + "\n")
	expect("short "+strings.Repeat("y", 100_000), false, 100*maxLine)
	if tail.Unread != 1 {
		t.Errorf("%d lines were too long, want 1", tail.Unread)
	}
	if err := os.WriteFile(name, []byte("new\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := tail.Read(folder, "f", 100, nil); !errors.Is(err, ErrReplaced) {
		t.Errorf("a file that is shorter now: %v", err)
	}
}

func TestFolderOpensNothingElse(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "in", "deeper")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"secret", "in/beside", "in/deeper/inside"} {
		if err := os.WriteFile(filepath.Join(top, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for to, from := range map[string]string{"../../secret": "out", "../beside": "up", "inside": "link"} {
		if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
			t.Skip(err)
		}
	}
	whole, err := OpenFolder(filepath.Join(top, "in"))
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	sub, err := whole.Sub("deeper")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	for _, c := range []struct {
		in   fs.FS
		name string
		may  bool
	}{
		{whole, "beside", true}, {whole, "deeper/inside", true}, {whole, "deeper/up", true}, {whole, "deeper/out", false}, {whole, "../secret", false},
		{sub, "inside", true}, {sub, "link", true}, {sub, "up", false}, {sub, "out", false}, {sub, "../beside", false}, {sub, ".", true},
	} {
		f, err := c.in.Open(c.name)
		if (err == nil) != c.may {
			t.Errorf("%s: %v", c.name, err)
		}
		if err == nil {
			f.Close()
		}
	}
	for _, out := range []string{"..", "../in", "/", "out", "inside"} {
		if s, err := whole.Sub(out); err == nil {
			s.Close()
			t.Errorf("%s was opened", out)
		}
	}
}
