package images

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// java puts a JDK and Maven in the PATH that work unless the scripts say otherwise, and an
// apt-get, and returns a recipe.
func java(t *testing.T, jlink, mvn string) Recipe {
	t.Helper()
	packages(t, strings.ReplaceAll(works, "told-server", "libc6"))
	debs, bin := t.TempDir(), t.TempDir()
	t.Setenv("DEBS", debs)
	deb(t, filepath.Join(debs, "told"), tar.Header{Name: "./usr/lib/libc.so.6", Typeflag: tar.TypeReg, Mode: 0o755})
	deb(t, filepath.Join(debs, "dash"), tar.Header{Name: "./usr/lib/libz.so", Typeflag: tar.TypeReg, Mode: 0o755})
	for name, script := range map[string]string{
		"jlink": jlink + `
case "$*" in
--version) echo 17.0.15 ;;
*) for a; do to=$a; done
  mkdir -p "$to/bin" "$to/lib" && echo modules > "$to/lib/modules" && ln -s modules "$to/lib/again"
  printf '#!/bin/sh\necho archive > "${0%%/bin/java}/lib/classes.jsa"\n' > "$to/bin/java" && chmod +x "$to/bin/java" ;;
esac`,
		"javac": `
for a; do
  [ "$next" ] && { to=$a; next=; }
  [ "$a" = -d ] && next=1
done
mkdir -p "$to" && cp "$a" "$to/$(basename "$a" .java).class"`,
		"mvn": mvn + `
for a; do case "$a" in
  -DoutputDirectory=*) to=${a#*=} ;;
  -f) next=1 ;;
  *) [ "$next" ] && { grep -q '<artifactId>server</artifactId>' "$a" || exit 9; next=; } ;;
esac; done
echo 'Downloaded from central: https://x/server.jar (5 kB)'
echo server > "$to/server-1.jar" && echo native > "$to/server-1-windows-x.jar"`,
	} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("JAVA_HOME", "")
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	return Recipe{Name: "told", Version: "1.0", Java: &Java{Dir: "/opt/told/lib", Jars: []string{"org.told:server:1.0"}, Without: []string{"*-windows-*.jar"}}}
}

func TestBuildJava(t *testing.T) {
	r := java(t, "", "")
	e := &engine{images: map[string][]byte{}}
	o := Options{CacheDir: t.TempDir()}
	for _, want := range []string{"built coup/told:1.0-", "the engine had coup/told:1.0-"} {
		if _, how, err := Ensure(t.Context(), native{e}, r, o); err != nil || !strings.HasPrefix(how, want) {
			t.Fatalf("%q, %v, want %s", how, err, want)
		}
	}
	for _, root := range e.images {
		files := entries(t, bytes.NewReader(root))
		for name, want := range map[string]tar.Header{
			"opt/java/bin/java": {Typeflag: tar.TypeReg, Mode: 0o755}, "opt/java/lib/classes.jsa": {Typeflag: tar.TypeReg, Mode: 0o644},
			"opt/java/lib/again": {Typeflag: tar.TypeSymlink, Linkname: "modules", Mode: 0o777},
			"opt/told/lib/":      {Typeflag: tar.TypeDir, Mode: 0o755}, "opt/told/lib/server-1.jar": {Typeflag: tar.TypeReg, Mode: 0o644},
			"usr/lib/libc.so.6": {Typeflag: tar.TypeReg, Mode: 0o755}, "usr/lib/libz.so": {Typeflag: tar.TypeReg, Mode: 0o755},
		} {
			if h := files[name]; h == nil || h.Typeflag != want.Typeflag || h.Linkname != want.Linkname || h.Mode != want.Mode || !h.ModTime.Equal(epoch) {
				t.Errorf("%s is %+v, want %+v", name, h, want)
			}
		}
		if files["opt/told/lib/server-1-windows-x.jar"] != nil {
			t.Error("a jar that was to be left out is there")
		}
	}
	if !slices.Contains(e.changes, "ENV PATH=/opt/java/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin") {
		t.Errorf("the image has %q", e.changes)
	}
	// Another release of the JDK makes another image, and so do other jars.
	references := map[string]bool{}
	for _, change := range []func(j *Java){func(*Java) {}, func(j *Java) { j.JDK = "21" }, func(j *Java) { j.Jars = []string{"org.told:server:1.1"} }} {
		j := *r.Java
		change(&j)
		other := r
		other.Java = &j
		references[other.Reference()] = true
	}
	if len(references) != 3 {
		t.Errorf("references: %v", references)
	}
}

// native is an engine of this machine's processor.
type native struct{ *engine }

func (native) Arch() string { return runtime.GOARCH }

// What is made of sources stands in a jar of its own, of the same bytes each time.
func TestJavaSources(t *testing.T) {
	r := java(t, "", "")
	r.Java.Sources = map[string]string{"Told.java": "class Told {}"}
	var jars [2][]byte
	for i := range jars {
		root, err := Build(t.Context(), r, Options{CacheDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		for files := tar.NewReader(root); ; {
			h, err := files.Next()
			if err != nil {
				break
			}
			if h.Name == "opt/told/lib/"+OwnJar {
				if jars[i], err = io.ReadAll(files); err != nil {
					t.Fatal(err)
				}
			}
		}
		root.Close()
	}
	z, err := zip.NewReader(bytes.NewReader(jars[0]), int64(len(jars[0])))
	if err != nil || len(z.File) != 1 || z.File[0].Name != "Told.class" || !bytes.Equal(jars[0], jars[1]) {
		t.Errorf("%v, %v", z, err)
	}
	for _, name := range []string{"../Told.java", "Told.class"} {
		r.Java.Sources = map[string]string{name: ""}
		if _, err := Build(t.Context(), r, Options{CacheDir: t.TempDir()}); err == nil {
			t.Errorf("%s is taken for a source file", name)
		}
	}
}

func TestJavaSaysWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct{ jlink, mvn, want string }{
		"old JDK":       {"[ \"$1\" = --version ] && { echo 11.0.2; exit; }", "", "the JDK is of release 11.0.2, and 17 or later is needed"},
		"odd JDK":       {"[ \"$1\" = --version ] && { echo what; exit; }", "", "jlink does not say its version (what)"},
		"no module":     {"[ \"$1\" = --version ] || { echo 'Error: Module java.desktop not found'; exit 1; }", "", "jlink: Error: Module java.desktop not found"},
		"no release":    {"", "echo '[ERROR] Failed to execute goal on project program: Could not resolve: Could not find artifact org.told:server:jar:9.9 in central (https://x) -> [Help 1]'; exit 1", "Maven's repository has no org.told:server:jar:9.9"},
		"no network":    {"", "echo '[ERROR] Could not transfer artifact a:b from/to central: Unknown host x'; exit 1", "no repository of Maven's can be reached"},
		"says nothing":  {"", "exit 1", "mvn failed and said nothing"},
		"says it twice": {"", "echo '[ERROR] one thing'; echo '[ERROR] another'; exit 1", "mvn: one thing"},
	} {
		t.Run(name, func(t *testing.T) {
			r := java(t, c.jlink, c.mvn)
			if root, err := Build(t.Context(), r, Options{CacheDir: t.TempDir()}); err == nil {
				root.Close()
				t.Error("it was built")
			} else if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%q, want one line with %q", err, c.want)
			}
		})
	}
	for name, jar := range map[string]string{"an option": "-Dx=y", "a path": "a:b:../c/d", "no version": "a:b", "markup": "a:b:<x>"} {
		r := java(t, "", "")
		r.Java.Jars = []string{jar}
		if _, err := Build(t.Context(), r, Options{CacheDir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "is no group:artifact:version") {
			t.Errorf("%s: %v", name, err)
		}
	}
	r := java(t, "", "")
	other := "arm64"
	if runtime.GOARCH == other {
		other = "amd64"
	}
	if _, err := Build(t.Context(), r, Options{CacheDir: t.TempDir(), Arch: other}); err == nil {
		t.Error("a Java runtime was made for another processor")
	}
	for _, missing := range []string{"jlink", "mvn"} {
		r := java(t, "", "")
		bin := t.TempDir() // everything but what is missing
		for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
			all, _ := os.ReadDir(dir)
			for _, f := range all {
				if f.Name() != missing {
					os.Symlink(filepath.Join(dir, f.Name()), filepath.Join(bin, f.Name())) // the first of a name stays
				}
			}
		}
		t.Setenv("PATH", bin)
		if _, err := Build(t.Context(), r, Options{CacheDir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), missing) || !strings.Contains(err.Error(), "--image REF") || strings.Contains(err.Error(), "\n") {
			t.Errorf("without %s: %v", missing, err)
		}
	}
}
