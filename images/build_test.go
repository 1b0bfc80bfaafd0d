package images

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// local is a recipe of a module on this machine, which needs no network.
func local(t *testing.T, main string) Recipe {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":       "module example.invalid/told\n\ngo 1.20\n",
		"told/told.go": "package told\n\n// Word is what the program says.\nfunc Word() string { return \"hello\" }\n",
	} {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return Recipe{Name: "told", Version: "1.0.0", Programs: []GoProgram{{
		Path: "/usr/local/bin/told", Module: "example.invalid/told", Version: "v1.0.0", Main: main,
		Replace: []string{"example.invalid/told=" + dir},
	}}}
}

const hello = "package main\n\nimport \"example.invalid/told/told\"\n\nfunc main() { println(told.Word()) }\n"

// entries are the files and directories of an archive.
func entries(t *testing.T, root io.Reader) map[string]*tar.Header {
	t.Helper()
	all := map[string]*tar.Header{}
	for r := tar.NewReader(root); ; {
		h, err := r.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all[h.Name] = h
	}
}

func TestBuild(t *testing.T) {
	r := local(t, hello)
	var mu sync.Mutex
	var said []string
	o := Options{CacheDir: t.TempDir(), Progress: func(line string) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, line)
	}}
	// The second process waits, and builds nothing.
	var wg sync.WaitGroup
	roots := make([]map[string]*tar.Header, 2)
	for i := range roots {
		wg.Go(func() {
			root, err := Build(t.Context(), r, o)
			if err != nil {
				t.Error(err)
				return
			}
			defer root.Close()
			roots[i] = entries(t, root)
		})
	}
	wg.Wait()
	for _, files := range roots {
		program, passwd, tmp := files["usr/local/bin/told"], files["etc/passwd"], files["tmp/"]
		if program == nil || program.Mode != 0o755 || program.Size < 1<<16 || passwd == nil || passwd.Mode != 0o644 || tmp == nil || tmp.Mode != 0o1777 || files["usr/local/bin/"] == nil {
			t.Errorf("the image holds %v", files)
		}
	}
	all := strings.Join(said, "\n")
	if strings.Count(all, "compiling") != 1 || !strings.Contains(all, "told 1.0.0 was built before") {
		t.Errorf("progress:\n%s", all)
	}
}

func TestBuildSaysWhatIsWrong(t *testing.T) {
	good := local(t, hello)
	change := func(f func(p *GoProgram)) Recipe {
		r := good
		r.Programs = []GoProgram{good.Programs[0]}
		f(&r.Programs[0])
		return r
	}
	empty := httptest.NewServer(http.NotFoundHandler())
	defer empty.Close()
	for name, c := range map[string]struct {
		recipe Recipe
		env    map[string]string
		want   string
	}{
		"no Go":      {good, map[string]string{"PATH": t.TempDir()}, "there is no go in PATH: install Go"},
		"no network": {change(func(p *GoProgram) { p.Replace, p.Module = nil, "golang.org/x/none" }), map[string]string{"GOPROXY": "http://127.0.0.1:1", "GOFLAGS": "-modcacherw", "GOMODCACHE": t.TempDir()}, "no proxy for Go modules can be reached"},
		"no proxy":   {change(func(p *GoProgram) { p.Replace, p.Module = nil, "golang.org/x/none" }), map[string]string{"GOPROXY": "off", "GOFLAGS": "-modcacherw", "GOMODCACHE": t.TempDir()}, "no proxy for Go modules can be reached"},
		"no such release": {change(func(p *GoProgram) { p.Replace, p.Module = nil, "example.invalid/none" }), map[string]string{"GOPROXY": empty.URL, "GOFLAGS": "-modcacherw", "GOMODCACHE": t.TempDir(), "GONOSUMDB": "*"},
			"there is no release v1.0.0 of example.invalid/none to be had"},
		"does not compile": {change(func(p *GoProgram) { p.Main = "package main\n\nfunc main() { nothing() }\n" }), nil, "undefined: nothing"},
		"nothing to build": {Recipe{Name: "a", Version: "1"}, nil, "something to build"},
		"no path":          {change(func(p *GoProgram) { p.Path = "told" }), nil, "no absolute path"},
		"neither":          {change(func(p *GoProgram) { p.Main = "" }), nil, "either a source file of its own or a package"},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			root, err := Build(t.Context(), c.recipe, Options{CacheDir: t.TempDir()})
			if err == nil {
				root.Close()
				t.Fatal("it was built")
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%q, want one line with %q", err, c.want)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Build(ctx, good, Options{CacheDir: t.TempDir()}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// A reference changes with all that goes into an image.
func TestReference(t *testing.T) {
	a, b := local(t, hello), local(t, hello)
	b.Programs[0].Replace = a.Programs[0].Replace
	if a.Reference() != b.Reference() {
		t.Errorf("one recipe, two references: %s, %s", a.Reference(), b.Reference())
	}
	b.Programs[0].Tags = "odd"
	if a.Reference() == b.Reference() {
		t.Errorf("two recipes, one reference: %s", a.Reference())
	}
}

// engine is one in memory.
type engine struct {
	images  map[string][]byte
	changes []string
	fails   error
}

func (e *engine) Arch() string { return runtime.GOARCH }

func (e *engine) Image(_ context.Context, ref string) (string, bool, error) {
	_, ok := e.images[ref]
	return "id of " + ref, ok, e.fails
}

func (e *engine) Import(_ context.Context, ref string, root io.Reader, _ string, changes ...string) (string, error) {
	b, err := io.ReadAll(root)
	e.images[ref], e.changes = b, changes
	return "id of " + ref, err
}

func TestEnsure(t *testing.T) {
	r := local(t, hello)
	e := &engine{images: map[string][]byte{}}
	o := Options{CacheDir: t.TempDir()}
	for _, want := range []string{"built coup/told:1.0.0-", "the engine had coup/told:1.0.0-", "imported coup/told:1.0.0-"} {
		if strings.HasPrefix(want, "imported") { // it was removed there
			clear(e.images)
		}
		id, how, err := Ensure(t.Context(), e, r, o)
		if err != nil || id != "id of "+r.Reference() || !strings.HasPrefix(how, want) {
			t.Errorf("%q, %q, %v, want %s", id, how, err, want)
		}
	}
	if program := entries(t, bytes.NewReader(e.images[r.Reference()]))["usr/local/bin/told"]; program == nil {
		t.Error("the image lacks its program")
	}
	if len(e.changes) != 1 || e.changes[0] != "LABEL coup.system=told-1.0.0" {
		t.Errorf("the image has %q", e.changes)
	}
	e.fails = errors.New("the engine is down")
	if _, _, err := Ensure(t.Context(), e, r, o); !errors.Is(err, e.fails) {
		t.Errorf("an engine that is down: %v", err)
	}
}
