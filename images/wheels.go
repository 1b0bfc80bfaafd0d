package images

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/ulikunitz/xz"
)

// Archive is a program that Maven's repository has as a jar with an archive in it
// (.txz), which holds the program with its libraries.
type Archive struct {
	// Artifacts are group:artifact:version, by the processor, as Go calls it.
	Artifacts map[string]string
	Dir       string // where the image holds what is in the archive
}

var (
	requirement = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][A-Za-z0-9.]*$`)
	artifact    = regexp.MustCompile(`^[\w.-]+:[\w.-]+:[\w.-]+$`)
)

func (a Archive) check() error {
	for _, of := range a.Artifacts {
		if !artifact.MatchString(of) {
			return fmt.Errorf("%q is no group:artifact:version", of)
		}
	}
	if !path.IsAbs(a.Dir) || path.Clean(a.Dir) != a.Dir || len(a.Artifacts) == 0 {
		return fmt.Errorf("an archive needs an artifact and an absolute path in an image, not %q", a.Dir)
	}
	return nil
}

// pythonPackages is where Debian's Python looks for packages.
const pythonPackages = "/usr/lib/python3/dist-packages"

// wheel fetches a package of Python, NAME==VERSION, by pip. It has to be one of Python
// alone, which runs on every processor and with every release of Python.
func wheel(ctx context.Context, o Options, name string, w *rootWriter) error {
	pip, err := exec.LookPath("pip3")
	if err != nil {
		if pip, err = exec.LookPath("pip"); err != nil {
			return errors.New("a part of it is fetched by pip, and there is no pip3 in PATH: install pip (Debian: python3-pip), or name an image of the system with --image REF")
		}
	}
	return fetched(ctx, o, name, "*.whl", func(dir string) *exec.Cmd {
		return exec.CommandContext(ctx, pip, "download", "--disable-pip-version-check", "--no-input", "--no-deps", "--only-binary=:all:", "--platform=any", "--dest="+dir, name)
	}, func(f *zip.File, r io.Reader) error {
		content, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		return w.file(path.Join(pythonPackages, f.Name), 0o644, content)
	})
}

// unpack fetches the archive by Maven and copies what it holds.
func (a Archive) unpack(ctx context.Context, o Options, w *rootWriter) error {
	of, ok := a.Artifacts[o.Arch]
	if !ok {
		return fmt.Errorf("it is not to be had for the processor %s: name an image of the system with --image REF", o.Arch)
	}
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return errors.New("it is fetched by Maven, and there is no mvn in PATH: install Maven (Debian: maven), or name an image of the system with --image REF")
	}
	lock := flock.New(filepath.Join(o.CacheDir, "maven.lock")) // its repository is for one at a time
	if _, err := lock.TryLockContext(ctx, lockPause); err != nil {
		return fmt.Errorf("somebody else uses Maven: %w", err)
	}
	defer lock.Close() // nothing was written to it
	archives := 0
	err = fetched(ctx, o, of, "*.jar", func(dir string) *exec.Cmd {
		return exec.CommandContext(ctx, mvn, "-B", "-q", "-Dmaven.repo.local="+filepath.Join(o.CacheDir, "maven"),
			"org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy", "-Dartifact="+of, "-DoutputDirectory="+dir)
	}, func(f *zip.File, r io.Reader) error {
		if path.Ext(f.Name) != ".txz" {
			return nil
		}
		archives++
		tree, err := xz.NewReader(r)
		if err != nil {
			return err
		}
		return w.add(tree, a.Dir)
	})
	if err == nil && archives == 0 {
		err = fmt.Errorf("%s holds no archive", of)
	}
	return err
}

// fetched runs a command that puts zip archives into a directory, and gives each file
// that they hold to take.
func fetched(ctx context.Context, o Options, what, pattern string, fetch func(dir string) *exec.Cmd, take func(f *zip.File, r io.Reader) error) error {
	dir, err := os.MkdirTemp("", "coup-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	o.say("fetching %s", what)
	c := fetch(dir)
	c.Dir, c.WaitDelay = dir, 5*time.Second
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	if err := c.Run(); err != nil {
		return cmp.Or(ctx.Err(), notFetched(what, said.String()))
	}
	archives, err := filepath.Glob(filepath.Join(dir, pattern))
	if err == nil && len(archives) == 0 {
		err = fmt.Errorf("%s brought nothing", filepath.Base(c.Path))
	}
	for _, archive := range archives {
		if err == nil {
			err = unzip(archive, take)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// unzip gives each file of a zip archive to take.
func unzip(archive string, take func(f *zip.File, r io.Reader) error) error {
	z, err := zip.OpenReader(archive)
	if err != nil {
		return err
	}
	defer z.Close()
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, "/") {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return err
		}
		if err := cmp.Or(take(f, r), r.Close()); err != nil {
			return err
		}
	}
	return nil
}

// notFetched turns what pip or Maven said into one line that says what to do.
func notFetched(what, said string) error {
	first := "it failed and said nothing"
	for line := range strings.Lines(said) {
		if _, word, ok := strings.Cut(line, "ERROR"); ok {
			first = strings.TrimSpace(strings.TrimLeft(word, "]: "))
			break
		}
	}
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(said, w) {
				return true
			}
		}
		return false
	}
	switch {
	case has("Connection refused", "Unknown host", "Could not transfer", "NewConnectionError", "Failed to establish a new connection", "ConnectTimeoutError", "offline mode"):
		return fmt.Errorf("no registry that has %s can be reached: %s", what, shorten(first))
	case has("Could not find artifact", "No matching distribution found"):
		return fmt.Errorf("there is no release %s to be had (%s)", what, shorten(first))
	}
	return fmt.Errorf("%s: %s", what, shorten(first))
}
