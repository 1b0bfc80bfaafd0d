package images

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// resolutionAge is for how long it is taken for true what apt has said of the packages
// of a recipe: Debian has newer ones some day.
const resolutionAge = 24 * time.Hour

// debianArch is what Debian calls a processor.
var debianArch = map[string]string{"386": "i386", "arm": "armhf", "ppc64le": "ppc64el", "mips64le": "mips64el"}

// Resolve returns the recipe with everything in it that it leaves to the day on which it
// is asked: the versions of Debian's packages, and with them its own if it names none, and
// the release of the JDK. A recipe without these, and one that is resolved, stay as they
// are. What apt has said is kept for a day, and for longer where apt can't be asked any
// more. Its errors are one line: what is wrong and what to do.
func Resolve(ctx context.Context, r Recipe, o Options) (_ Recipe, err error) {
	packages := r.packages()
	if len(packages) == 0 || len(r.Closure) > 0 {
		return r, nil
	}
	if r.Java != nil {
		java := *r.Java
		if java.JDK, _, err = jdk(ctx); err != nil {
			return r, fmt.Errorf("the image of %s: %w", r, err)
		}
		r.Java = &java
	}
	if o, err = o.complete(); err != nil {
		return r, err
	}
	a := aptOf(o)
	sum := sha256.Sum256([]byte(strings.Join(packages, " ")))
	kept := filepath.Join(a.dir, hex.EncodeToString(sum[:6])+".closure")
	if err := os.MkdirAll(a.dir, 0o755); err != nil {
		return r, fmt.Errorf("nowhere to keep images: %w", err)
	}
	lock := flock.New(filepath.Join(a.dir, "lock"))
	if _, err := lock.TryLockContext(ctx, lockPause); err != nil {
		return r, fmt.Errorf("image %s: somebody else asks apt: %w", r.Name, err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	before, err := os.Stat(kept)
	if err != nil || time.Since(before.ModTime()) > resolutionAge {
		switch closure, asked := a.closure(ctx, o, packages); {
		case asked == nil:
			err = os.WriteFile(kept, []byte(strings.Join(closure, "\n")), 0o644)
		case err == nil && ctx.Err() == nil:
			o.say("apt can't be asked for newer packages of %s (%v): those of %s are taken", r.Name, asked, before.ModTime().Format(time.DateOnly))
		default:
			err = asked
		}
		if err != nil {
			return r, fmt.Errorf("the image of %s: %w", r.Name, err)
		}
	}
	text, err := os.ReadFile(kept)
	if err != nil {
		return r, err
	}
	r.Closure = strings.Split(string(text), "\n")
	for _, p := range r.Closure {
		if version, ok := strings.CutPrefix(p, packages[0]+"="); ok && r.Version == "" {
			r.Version = upstream(version)
		}
	}
	return r, nil
}

// packages are the packages of Debian that the recipe names, and those of its Java runtime.
func (r Recipe) packages() []string {
	if r.Java == nil {
		return r.Debian
	}
	return slices.Concat(r.Debian, javaNeeds)
}

// forget makes the next [Resolve] ask apt anew.
func (a apt) forget() {
	kept, _ := filepath.Glob(filepath.Join(a.dir, "*.closure")) // the pattern is good
	for _, f := range kept {
		os.Remove(f)
	}
	os.RemoveAll(filepath.Join(a.dir, "lists"))
}

// upstream is the release that a version of a package is of: 5:7.0.15-1~deb12u10 is
// one of 7.0.15.
func upstream(version string) string {
	if _, after, ok := strings.Cut(version, ":"); ok {
		version = after
	}
	if i := strings.LastIndex(version, "-"); i > 0 {
		version = version[:i]
	}
	return strings.Map(func(r rune) rune { // a tag of an image has few characters
		if r < 0x80 && (r == '.' || r == '_' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z') {
			return r
		}
		return '_'
	}, version)
}

// apt asks the host's apt, with directories of its own and as if nothing were
// installed: what a recipe needs does not depend on what the host has. Only the
// sources, and the keys that sign them, are the host's.
type apt struct {
	dir  string // where it keeps everything
	arch string // as Debian calls it
}

func aptOf(o Options) apt {
	arch := cmp.Or(debianArch[o.Arch], o.Arch)
	return apt{filepath.Join(o.CacheDir, "debian-"+arch), arch}
}

// run runs apt-get and returns what it wrote to its standard output. Its error is an
// aptError.
func (a apt) run(ctx context.Context, args ...string) ([]byte, error) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return nil, missing("it is made of Debian's packages, and there is no apt-get here: name an image of the system with --image REF")
	}
	status := filepath.Join(a.dir, "state", "status")
	for _, dir := range []string{"state", "lists/partial", "archives/partial"} {
		if err := os.MkdirAll(filepath.Join(a.dir, dir), 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(status, nil, 0o644); err != nil {
		return nil, err
	}
	options := []string{
		"-q", "-y", "--no-install-recommends",
		"-o", "Dir::State=" + filepath.Join(a.dir, "state"),
		"-o", "Dir::State::status=" + status,
		"-o", "Dir::State::lists=" + filepath.Join(a.dir, "lists"),
		"-o", "Dir::Cache=" + a.dir,
		"-o", "Dir::Cache::archives=" + filepath.Join(a.dir, "archives"),
		"-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=",
		"-o", "APT::Architecture=" + a.arch, "-o", "APT::Architectures=" + a.arch,
		"-o", "APT::Install-Suggests=false", "-o", "APT::Sandbox::User=", "-o", "Acquire::Languages=none",
		"-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=30", "-o", "Acquire::https::Timeout=30",
	}
	c := exec.CommandContext(ctx, "apt-get", append(options, args...)...)
	c.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	c.WaitDelay = 5 * time.Second
	var out, said bytes.Buffer
	c.Stdout, c.Stderr = &out, &said
	if err := c.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, aptError(strings.Split(said.String(), "\n"))
	}
	return out.Bytes(), nil
}

// aptError is what apt-get wrote to its standard error when it failed.
type aptError []string

func (e aptError) Error() string {
	all := strings.Join(e, "\n")
	first := "it failed and said nothing"
	for _, line := range e {
		if word, ok := strings.CutPrefix(line, "E: "); ok {
			first = shorten(word)
			break
		}
	}
	switch {
	case strings.Contains(all, "Unable to locate package"), strings.Contains(all, "has no installation candidate"):
		return fmt.Sprintf("apt-get: %s: the sources in /etc/apt must be those of Debian or Ubuntu (with universe); or name an image of the system with --image REF", first)
	case strings.Contains(all, "Could not resolve"), strings.Contains(all, "Could not connect"), strings.Contains(all, "onnection failed"), strings.Contains(all, "onnection timed out"), strings.Contains(all, "Unable to connect"):
		return "no mirror of Debian's packages can be reached (/etc/apt names them): apt-get: " + first
	case strings.Contains(all, "No space left on device"), strings.Contains(all, "have enough free space"):
		return "the disk is full: apt-get: " + first
	}
	return "apt-get: " + first
}

// toInstall matches the lines of apt-get --simulate that tell what it would install.
var toInstall = regexp.MustCompile(`(?m)^Inst (\S+) \((\S+) `)

// closure are the packages with all that they depend on, as NAME=VERSION, sorted.
func (a apt) closure(ctx context.Context, o Options, packages []string) ([]string, error) {
	o.say("asking apt which packages Debian has")
	// Sources of the host that have nothing to do with it may be out of reach.
	_, updated := a.run(ctx, "update")
	out, err := a.run(ctx, append([]string{"install", "--simulate"}, packages...)...)
	if err != nil {
		if updated != nil {
			err = updated
		}
		return nil, err
	}
	closure := installs(out)
	if len(closure) == 0 {
		return nil, errors.New("apt-get tells no packages")
	}
	return closure, nil
}

func installs(simulated []byte) (closure []string) {
	for _, m := range toInstall.FindAllSubmatch(simulated, -1) {
		name, _, _ := strings.Cut(string(m[1]), ":") // of another processor's packages, which there are not
		closure = append(closure, name+"="+string(m[2]))
	}
	slices.Sort(closure)
	return slices.Compact(closure)
}

// unpack writes the packages of a closure into an archive.
func (a apt) unpack(ctx context.Context, o Options, closure []string, w *rootWriter) error {
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		return missing("it is made of Debian's packages, and there is no dpkg-deb here: name an image of the system with --image REF")
	}
	o.say("fetching %d packages of Debian", len(closure))
	if _, err := a.run(ctx, append([]string{"install", "--download-only"}, closure...)...); err != nil {
		if ctx.Err() == nil { // a mirror keeps no old versions
			a.forget()
			err = fmt.Errorf("%w (the next attempt asks apt for what there is now)", err)
		}
		return err
	}
	var kept []string
	for i, p := range closure {
		if i%20 == 0 {
			o.say("unpacking the packages: %d of %d", i, len(closure))
		}
		name, version, _ := strings.Cut(p, "=")
		file, err := a.file(name, version)
		if err != nil {
			return err
		}
		kept = append(kept, file)
		if err := unpackOne(ctx, file, w); err != nil {
			return fmt.Errorf("unpack %s: %w", filepath.Base(file), err)
		}
	}
	for _, file := range kept { // the image is kept, which is enough
		os.Remove(file)
	}
	return nil
}

// file is where apt has put a package.
func (a apt) file(name, version string) (string, error) {
	for _, arch := range []string{a.arch, "all"} {
		file := filepath.Join(a.dir, "archives", fmt.Sprintf("%s_%s_%s.deb", name, strings.ReplaceAll(url.PathEscape(version), ":", "%3a"), arch))
		if _, err := os.Stat(file); err == nil {
			return file, nil
		}
	}
	return "", fmt.Errorf("apt-get has not fetched %s %s", name, version)
}

func unpackOne(ctx context.Context, file string, w *rootWriter) error {
	c := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", file)
	var said bytes.Buffer
	c.Stderr = &said
	pipe, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	added := w.add(pipe, "/")
	io.Copy(io.Discard, pipe) // or dpkg-deb waits for a reader
	if err := c.Wait(); err != nil && added == nil {
		added = fmt.Errorf("dpkg-deb: %s", shorten(strings.TrimSpace(cmp.Or(said.String(), err.Error()))))
	}
	return cmp.Or(ctx.Err(), added)
}
