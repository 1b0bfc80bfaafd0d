package images

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// packages puts an apt-get in the PATH that knows two packages, and a dpkg-deb that
// unpacks them, and returns a recipe of them and the file in which apt-get counts how
// often it was asked.
func packages(t *testing.T, apt string) (Recipe, string) {
	t.Helper()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("the commands of the test are scripts")
	}
	bin, calls := t.TempDir(), filepath.Join(t.TempDir(), "calls")
	for name, script := range map[string]string{
		"apt-get":  "echo \"$@\" >> " + calls + "\n" + apt,
		"dpkg-deb": "cat \"$2\"\n",
	} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	return Recipe{Name: "told", Debian: []string{"told-server", "dash"}}, calls
}

// works is an apt-get that works: the "packages" are archives in a directory.
const works = `
case "$*" in
*--simulate*) echo 'NOTE: This is only a simulation!'
  echo 'Inst dash (0.5.12-2 Debian:12.15/oldstable [amd64])'
  echo 'Inst told-server (5:7.0.15-1~deb12u10 Debian-Security:12 [amd64]) []'
  echo 'Conf dash (0.5.12-2 Debian:12.15/oldstable [amd64])' ;;
*--download-only*)
  for a; do case "$a" in Dir::Cache::archives=*) to=${a#*=} ;; esac; done
  cp "$DEBS/told" "$to/told-server_5%3a7.0.15-1~deb12u10_amd64.deb"
  cp "$DEBS/dash" "$to/dash_0.5.12-2_all.deb" ;;
esac`

func deb(t *testing.T, file string, headers ...tar.Header) {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		h.Size = 0
		if h.Typeflag == tar.TypeReg {
			h.Size = 4
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			w.Write([]byte("told"))
		}
	}
	if err := errors.Join(w.Close(), os.WriteFile(file, b.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func TestBuildFromDebian(t *testing.T) {
	r, calls := packages(t, works)
	debs := t.TempDir()
	t.Setenv("DEBS", debs)
	deb(t, filepath.Join(debs, "told"),
		tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755},
		tar.Header{Name: "./lib64/", Typeflag: tar.TypeDir, Mode: 0o755},
		tar.Header{Name: "./lib64/ld.so", Typeflag: tar.TypeSymlink, Linkname: "/lib/ld.so", Mode: 0o777},
		tar.Header{Name: "./usr/bin/told", Typeflag: tar.TypeReg, Mode: 0o755, Uid: 7},
		tar.Header{Name: "./usr/bin/again", Typeflag: tar.TypeLink, Linkname: "./usr/bin/told", Mode: 0o755},
		tar.Header{Name: "./usr/share/doc/told/copyright", Typeflag: tar.TypeReg, Mode: 0o644})
	deb(t, filepath.Join(debs, "dash"),
		tar.Header{Name: "./bin/", Typeflag: tar.TypeDir, Mode: 0o755},
		tar.Header{Name: "./bin/dash", Typeflag: tar.TypeReg, Mode: 0o755},
		tar.Header{Name: "./bin/sh", Typeflag: tar.TypeSymlink, Linkname: "dash", Mode: 0o777},
		tar.Header{Name: "./usr/share/man/man1/dash.1", Typeflag: tar.TypeReg, Mode: 0o644})
	e := &engine{images: map[string][]byte{}}
	o := Options{CacheDir: t.TempDir()}
	for _, want := range []string{"built coup/told:7.0.15-", "the engine had coup/told:7.0.15-"} {
		id, how, err := Ensure(t.Context(), amd64{e}, r, o)
		if err != nil || !strings.HasPrefix(id, "id of coup/told:7.0.15-") || !strings.HasPrefix(how, want) {
			t.Fatalf("%q, %q, %v, want %s", id, how, err, want)
		}
	}
	for ref, root := range e.images {
		files := entries(t, bytes.NewReader(root))
		for name, want := range map[string]tar.Header{
			"usr/bin/told": {Typeflag: tar.TypeReg, Mode: 0o755, Uid: 7, Size: 4}, "usr/bin/dash": {Typeflag: tar.TypeReg, Mode: 0o755, Size: 4},
			"usr/bin/again": {Typeflag: tar.TypeLink, Linkname: "usr/bin/told", Mode: 0o755},
			"usr/bin/sh":    {Typeflag: tar.TypeSymlink, Linkname: "dash", Mode: 0o777}, "usr/lib64/ld.so": {Typeflag: tar.TypeSymlink, Linkname: "/lib/ld.so", Mode: 0o777},
			"bin": {Typeflag: tar.TypeSymlink, Linkname: "usr/bin", Mode: 0o777}, "lib64": {Typeflag: tar.TypeSymlink, Linkname: "usr/lib64", Mode: 0o777},
			"tmp/": {Typeflag: tar.TypeDir, Mode: 0o1777}, "etc/nsswitch.conf": {Typeflag: tar.TypeReg, Mode: 0o644, Size: 44}, "usr/bin/": {Typeflag: tar.TypeDir, Mode: 0o755},
		} {
			h := files[name]
			if h == nil || h.Typeflag != want.Typeflag || h.Linkname != want.Linkname || h.Mode != want.Mode || h.Uid != want.Uid || want.Size > 0 && h.Size != want.Size {
				t.Errorf("%s of %s is %+v, want %+v", name, ref, h, want)
			}
		}
		for name := range files {
			if strings.Contains(name, "/doc/") || strings.Contains(name, "/man/") || name == "sbin" {
				t.Errorf("the image has %s", name)
			}
		}
	}
	if strings.Join(e.changes, "|") != "LABEL coup.system=told-7.0.15|ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin|ENV LANG=C.UTF-8" {
		t.Errorf("the image has %q", e.changes)
	}
	// It is asked once a day; and with an apt that fails then, what it said before stands.
	asked, err := os.ReadFile(calls)
	if err != nil || strings.Count(string(asked), "--simulate") != 1 || !strings.Contains(string(asked), "--download-only dash=0.5.12-2 told-server=5:7.0.15-1~deb12u10") {
		t.Errorf("apt-get was asked %s, %v", asked, err)
	}
	kept, _ := filepath.Glob(filepath.Join(o.CacheDir, "debian-amd64", "*.closure"))
	if len(kept) != 1 {
		t.Fatalf("kept: %v", kept)
	}
	old := time.Now().Add(-2 * resolutionAge)
	if err := os.Chtimes(kept[0], old, old); err != nil {
		t.Fatal(err)
	}
	packages(t, "echo 'E: all is lost' >&2; exit 100")
	var said []string
	o.Progress, o.Arch = func(line string) { said = append(said, line) }, "amd64"
	resolved, err := Resolve(t.Context(), r, o)
	if err != nil || resolved.Version != "7.0.15" || len(resolved.Closure) != 2 || !strings.Contains(strings.Join(said, "\n"), "all is lost): those of") {
		t.Errorf("%+v, %v; said %q", resolved, err, said)
	}
}

// amd64 is an engine of that processor, for which the packages are.
type amd64 struct{ *engine }

func (amd64) Arch() string { return "amd64" }

func TestDebianSaysWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct{ apt, want string }{
		"another system": {"echo 'E: Unable to locate package told-server' >&2; exit 100", "must be those of Debian or Ubuntu"},
		"no network":     {"echo \"E: Failed to fetch http://x  Could not resolve 'x'\" >&2; exit 100", "no mirror of Debian's packages can be reached"},
		"says nothing":   {"exit 1", "it failed and said nothing"},
		"tells nothing":  {"exit 0", "tells no packages"},
		"old packages":   {strings.Replace(works, "cp \"$DEBS/told\"", "echo 'E: Version gone' >&2; exit 100;", 1), "Version gone (the next attempt asks apt"},
		"not fetched":    {strings.ReplaceAll(works, "cp ", "true "), "apt-get has not fetched dash 0.5.12-2"},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := packages(t, c.apt)
			if root, err := Build(t.Context(), r, Options{CacheDir: t.TempDir(), Arch: "amd64"}); err == nil {
				root.Close()
				t.Error("it was built")
			} else if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%q, want one line with %q", err, c.want)
			}
		})
	}
	r, _ := packages(t, works)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Build(ctx, r, Options{CacheDir: t.TempDir()}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := Build(t.Context(), r, Options{CacheDir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "there is no apt-get here: name an image of the system with --image REF") {
		t.Errorf("without apt: %v", err)
	}
	r.Debian = []string{"told-server", "-o=Evil::Option"}
	if _, err := Build(t.Context(), r, Options{CacheDir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "no name of a package") {
		t.Errorf("an option as a package: %v", err)
	}
}

func TestUpstream(t *testing.T) {
	for version, want := range map[string]string{
		"5:7.0.15-1~deb12u10": "7.0.15", "3.8.0-11+deb12u2": "3.8.0", "1.0": "1.0", "2:1.2-rc1-3": "1.2-rc1", "1.0+dfsg~x-1": "1.0_dfsg_x",
	} {
		if got := upstream(version); got != want {
			t.Errorf("%s is a version of %s, want %s", version, got, want)
		}
	}
}
