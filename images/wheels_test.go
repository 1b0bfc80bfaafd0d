package images

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"
)

// zipped writes a zip archive of files.
func zipped(t *testing.T, file string, content map[string]string) {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, text := range content {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		f.Write([]byte(text))
	}
	if err := errors.Join(w.Close(), os.WriteFile(file, b.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// txz is an archive of a program and a link to it.
func txz(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	x, err := xz.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(x)
	w.WriteHeader(&tar.Header{Name: "bin/", Typeflag: tar.TypeDir, Mode: 0o755})
	w.WriteHeader(&tar.Header{Name: "bin/told", Typeflag: tar.TypeReg, Mode: 0o755, Size: 4})
	w.Write([]byte("told"))
	w.WriteHeader(&tar.Header{Name: "bin/again", Typeflag: tar.TypeSymlink, Linkname: "told", Mode: 0o777})
	w.WriteHeader(&tar.Header{Name: "bin/hard", Typeflag: tar.TypeLink, Linkname: "bin/told", Mode: 0o755})
	if err := errors.Join(w.Close(), x.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// fetchers puts scripts in the place of pip3 and mvn.
func fetchers(t *testing.T, pip, mvn string) {
	t.Helper()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("the commands of the test are scripts")
	}
	bin := t.TempDir()
	for name, script := range map[string]string{"pip3": pip, "mvn": mvn} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// fetches is a script that copies a file to where pip or Maven is told to put it.
func fetches(file string) string {
	return `for a; do case "$a" in --dest=*|-DoutputDirectory=*) to=${a#*=} ;; esac; done
cp "` + file + `" "$to/"`
}

func fetchedRecipe() Recipe {
	return Recipe{Name: "told", Version: "2.0", Wheels: []string{"told==2.0"}, Debian: []string{"told-server"},
		Archives: []Archive{{Artifacts: map[string]string{"amd64": "org.told:told-linux:2.0"}, Dir: "/usr/local"}}}
}

func TestBuildFromWheelsAndArchives(t *testing.T) {
	r, _ := packages(t, works)
	r.Name, r.Version = "told", "2.0"
	r.Wheels, r.Archives = fetchedRecipe().Wheels, fetchedRecipe().Archives
	debs := t.TempDir()
	t.Setenv("DEBS", debs)
	deb(t, filepath.Join(debs, "told"), tar.Header{Name: "./usr/lib/python3/dist-packages/told/main.py", Typeflag: tar.TypeReg, Mode: 0o600})
	deb(t, filepath.Join(debs, "dash"), tar.Header{Name: "./bin/dash", Typeflag: tar.TypeReg, Mode: 0o755})
	whl, jar := filepath.Join(debs, "told-2.0-py3-none-any.whl"), filepath.Join(debs, "told-linux-2.0.jar")
	zipped(t, whl, map[string]string{"told/main.py": "newer", "told/": ""})
	zipped(t, jar, map[string]string{"META-INF/MANIFEST.MF": "", "told.txz": txz(t)})
	fetchers(t, fetches(whl), fetches(jar))
	o := Options{CacheDir: t.TempDir(), Arch: "amd64"}
	resolved, err := Resolve(t.Context(), r, o)
	if err != nil || resolved.Version != "2.0" || len(resolved.Closure) != 2 {
		t.Fatalf("%+v, %v", resolved, err)
	}
	root, err := Build(t.Context(), r, o)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	files := entries(t, root)
	for name, want := range map[string]tar.Header{
		"usr/lib/python3/dist-packages/told/main.py": {Typeflag: tar.TypeReg, Mode: 0o644, Size: 5},
		"usr/local/bin/told":                         {Typeflag: tar.TypeReg, Mode: 0o755, Size: 4},
		"usr/local/bin/again":                        {Typeflag: tar.TypeSymlink, Mode: 0o777, Linkname: "told"},
		"usr/local/bin/hard":                         {Typeflag: tar.TypeLink, Mode: 0o755, Linkname: "usr/local/bin/told"},
		"usr/bin/dash":                               {Typeflag: tar.TypeReg, Mode: 0o755, Size: 4},
	} {
		h := files[name]
		if h == nil || h.Typeflag != want.Typeflag || h.Linkname != want.Linkname || h.Mode != want.Mode || h.Size != want.Size {
			t.Errorf("%s is %+v, want %+v", name, h, want)
		}
	}
}

func TestFetchingSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.jar")
	zipped(t, empty, map[string]string{"readme": "nothing"})
	whl := filepath.Join(dir, "told-2.0-py3-none-any.whl")
	zipped(t, whl, map[string]string{"told.py": ""})
	for name, c := range map[string]struct{ pip, mvn, want string }{
		"no such wheel":   {"echo 'ERROR: No matching distribution found for told==2.0'; exit 1", "", "there is no release told==2.0 to be had"},
		"no registry":     {"echo 'WARNING: Retrying: NewConnectionError(): Failed'; exit 1", "", "no registry that has told==2.0 can be reached"},
		"no such jar":     {fetches(whl), "echo '[ERROR] Could not find artifact org.told:told-linux:jar:2.0'; exit 1", "there is no release org.told:told-linux:2.0 to be had"},
		"Maven is silent": {fetches(whl), "exit 1", "it failed and said nothing"},
		"nothing comes":   {"exit 0", "", "pip3 brought nothing"},
		"no archive":      {fetches(whl), fetches(empty), "holds no archive"},
		"no zip":          {fetches(whl), strings.Replace(fetches(empty), "cp", "echo broken > $to/a.jar #", 1), "not a valid zip file"},
	} {
		t.Run(name, func(t *testing.T) {
			r := fetchedRecipe()
			r.Debian = nil
			fetchers(t, c.pip, c.mvn)
			root, err := Build(t.Context(), r, Options{CacheDir: t.TempDir(), Arch: "amd64"})
			if err == nil {
				root.Close()
				t.Fatal("it was built")
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%q, want one line with %q", err, c.want)
			}
		})
	}
	fetchers(t, fetches(whl), "exit 1")
	r := fetchedRecipe()
	r.Debian = nil
	if _, err := Build(t.Context(), r, Options{CacheDir: t.TempDir(), Arch: "riscv64"}); err == nil || !strings.Contains(err.Error(), "not to be had for the processor riscv64") {
		t.Errorf("another processor: %v", err)
	}
	for _, change := range []func(r *Recipe){
		func(r *Recipe) { r.Wheels = []string{"--index-url=x"} },
		func(r *Recipe) { r.Wheels = []string{"told"} },
		func(r *Recipe) { r.Archives = []Archive{{Artifacts: map[string]string{"amd64": "told"}, Dir: "/usr"}} },
		func(r *Recipe) { r.Archives = []Archive{{Artifacts: map[string]string{"amd64": "a:b:1"}, Dir: "usr"}} },
	} {
		r := fetchedRecipe()
		change(&r)
		if err := r.check(); err == nil {
			t.Errorf("%+v is taken", r)
		}
	}
}
