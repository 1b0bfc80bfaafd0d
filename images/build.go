package images

import (
	"bufio"
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
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// Options say how images are built. The zero value is useful.
type Options struct {
	// CacheDir keeps what was built; "": coup/images in the user's cache directory.
	CacheDir string
	// Arch is the processor that the image is for, as Go calls it; "": this machine's.
	Arch string
	// Progress is told what goes on, a line at a time; nil: nobody is.
	Progress func(line string)
}

func (o Options) say(format string, args ...any) {
	if o.Progress != nil {
		o.Progress(fmt.Sprintf(format, args...))
	}
}

// lockPause is the pause between two attempts to get a lock that another process has.
const lockPause = 200 * time.Millisecond

// complete are the options with their defaults filled in.
func (o Options) complete() (Options, error) {
	o.Arch = cmp.Or(o.Arch, runtime.GOARCH)
	if o.CacheDir == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return o, fmt.Errorf("nowhere to keep images: %w", err)
		}
		o.CacheDir = filepath.Join(dir, "coup", "images")
	}
	if err := os.MkdirAll(o.CacheDir, 0o755); err != nil {
		return o, fmt.Errorf("nowhere to keep images: %w", err)
	}
	return o, nil
}

// Build returns the root file system of the image, an archive in tar. What was built
// before comes from the cache. Its errors are one line: what is wrong and what to do.
// Safe for concurrent use, by several processes too: one builds, the others wait.
func Build(ctx context.Context, r Recipe, o Options) (root io.ReadCloser, err error) {
	root, _, err = build(ctx, r, o)
	return root, err
}

// build is Build; kept says that the root comes from the cache.
func build(ctx context.Context, r Recipe, o Options) (root io.ReadCloser, kept bool, err error) {
	if err := r.check(); err != nil {
		return nil, false, err
	}
	if o, err = o.complete(); err != nil {
		return nil, false, err
	}
	if r, err = Resolve(ctx, r, o); err != nil {
		return nil, false, err
	}
	name := strings.NewReplacer("/", "-", ":", "-").Replace(r.Reference()) + "-" + o.Arch
	file := filepath.Join(o.CacheDir, name+".tar")
	lock := flock.New(filepath.Join(o.CacheDir, name+".lock"))
	if _, err := lock.TryLockContext(ctx, lockPause); err != nil {
		return nil, false, fmt.Errorf("image %s: somebody else builds it: %w", r, err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if f, err := os.Open(file); err == nil {
		o.say("%s was built before", r)
		return f, true, nil
	}
	// A name of its own until it is whole: what is in the cache is good.
	f, err := os.CreateTemp(o.CacheDir, name+".*.new")
	if err != nil {
		return nil, false, err
	}
	defer os.Remove(f.Name())
	if err := r.write(ctx, o, f); err != nil {
		f.Close() // it is removed
		return nil, false, fmt.Errorf("the image of %s: %w", r, err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return nil, false, err
	}
	if err := os.Rename(f.Name(), file); err != nil {
		return nil, false, err
	}
	root, err = os.Open(file)
	return root, false, err
}

// write writes what the image holds. Another kind of recipe is another part here.
func (r Recipe) write(ctx context.Context, o Options, to io.Writer) error {
	w := newRootWriter(to)
	for _, p := range r.Programs {
		binary, err := p.build(ctx, o)
		if err != nil {
			return err
		}
		if err := w.file(p.Path, 0o755, binary); err != nil {
			return err
		}
	}
	// Of two files at one path the first one stays: these are newer than Debian's.
	for _, name := range r.Wheels {
		if err := wheel(ctx, o, name, w); err != nil {
			return err
		}
	}
	for _, a := range r.Archives {
		if err := a.unpack(ctx, o, w); err != nil {
			return err
		}
	}
	if r.Java != nil {
		if err := r.Java.write(ctx, o, w); err != nil {
			return err
		}
	}
	if len(r.Closure) > 0 {
		if err := aptOf(o).unpack(ctx, o, r.Closure, w); err != nil {
			return err
		}
	}
	return w.close(len(r.Closure) > 0)
}

// build builds the program in an empty module of its own, so that replace directives
// and old modules work, and returns the binary.
func (p GoProgram) build(ctx context.Context, o Options) ([]byte, error) {
	if _, err := exec.LookPath("go"); err != nil {
		return nil, missing("it is built with Go, and there is no go in PATH: install Go (https://go.dev/doc/install)")
	}
	dir, err := os.MkdirTemp("", "coup-image-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	module := p.Module + "@" + p.Version
	run := func(each func(line string), args ...string) error {
		return p.run(ctx, dir, o.Arch, each, args...)
	}
	quiet := func(string) {}
	// No domain is called invalid, so that no other module is either.
	if err := run(quiet, "mod", "init", "image.invalid/program"); err != nil {
		return nil, err
	}
	for _, r := range p.Replace {
		if err := run(quiet, "mod", "edit", "-replace="+r); err != nil {
			return nil, err
		}
	}
	target := p.Package
	if p.Main != "" {
		target = "."
		for i, source := range append([]string{p.Main}, p.More...) {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("main%d.go", i)), []byte(source), 0o644); err != nil {
				return nil, err
			}
		}
	}
	o.say("fetching %s", module)
	downloading := func(line string) {
		if _, what, ok := strings.Cut(line, "downloading "); ok {
			o.say("fetching %s", what)
		}
	}
	if err := run(downloading, "get", module); err != nil {
		return nil, p.explain(err)
	}
	o.say("compiling %s: minutes for the first release of a system, less for others", module)
	packages := 0
	compiled := func(line string) {
		downloading(line)
		if packages++; packages%100 == 0 {
			o.say("compiling %s: %d packages so far", module, packages)
		}
	}
	args := []string{"build", "-v", "-mod=mod", "-trimpath", "-ldflags", strings.TrimSpace("-s -w " + p.LDFlags), "-o", "program"}
	if p.Tags != "" {
		args = append(args, "-tags", p.Tags)
	}
	if err := run(compiled, append(args, target)...); err != nil {
		return nil, p.explain(err)
	}
	return os.ReadFile(filepath.Join(dir, "program"))
}

// run runs the go command in dir. Its error is a [goError].
func (p GoProgram) run(ctx context.Context, dir, arch string, each func(line string), args ...string) error {
	c := exec.CommandContext(ctx, "go", args...)
	c.Dir = dir
	cgo := "0"
	if p.CGO {
		cgo = "1"
	}
	c.Env = append(os.Environ(), "CGO_ENABLED="+cgo, "GOOS=linux", "GOARCH="+arch, "GO111MODULE=on", "GOWORK=off", "PWD="+dir)
	pipe, err := c.StderrPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return fmt.Errorf("go %s: %w", args[0], err)
	}
	var said []string
	lines := bufio.NewScanner(pipe)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		said = append(said, lines.Text())
		each(lines.Text())
	}
	if err := c.Wait(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return goError{args[0], said}
	}
	return nil
}

// goError is what the go command said when it failed.
type goError struct {
	command string
	said    []string
}

// noise is what the go command says that is no reason.
var noise = regexp.MustCompile(`^(go: (downloading|added|upgraded|downgraded|finding|found|trying|creating|to add) |#|\s*$|[\w./-]+$)`)

func (e goError) Error() string {
	for _, line := range e.said {
		if !noise.MatchString(line) {
			return fmt.Sprintf("go %s: %s", e.command, strings.TrimPrefix(strings.TrimSpace(line), "go: "))
		}
	}
	return fmt.Sprintf("go %s failed and said nothing", e.command)
}

// explain turns what the go command said into one line that says what to do.
func (p GoProgram) explain(err error) error {
	var failed goError
	if !errors.As(err, &failed) {
		return err
	}
	all := strings.Join(failed.said, "\n")
	says := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(all, w) })
	}
	switch {
	case says("dial tcp", "no such host", "connection refused", "i/o timeout", "TLS handshake timeout", "network is unreachable", "module lookup disabled"):
		return fmt.Errorf("no proxy for Go modules can be reached (go env GOPROXY names it): %w", err)
	case says("unknown revision", "404 Not Found", "403 Forbidden", "410 Gone", "invalid version", "no matching versions"):
		return fmt.Errorf("there is no release %s of %s to be had (%s)", p.Version, p.Module, shorten(failed.Error()))
	case says("requires go >=", "requires go1.", "GOTOOLCHAIN"):
		return fmt.Errorf("%s@%s wants a newer Go than %s: install it, or set GOTOOLCHAIN=auto: %w", p.Module, p.Version, runtime.Version(), err)
	case says("no space left on device"):
		return fmt.Errorf("the disk is full: %w", err)
	}
	return err
}

// shorten keeps a line short enough to be read.
func shorten(line string) string {
	const most = 160
	if len(line) > most {
		return line[:most] + "..."
	}
	return line
}

// packageName is what Debian's packages are called.
var packageName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)

// check says what is wrong with a recipe.
func (r Recipe) check() error {
	if r.Name == "" || r.Version == "" && len(r.Debian) == 0 || len(r.Programs)+len(r.Debian)+len(r.Wheels)+len(r.Archives) == 0 && r.Java == nil {
		return errors.New("a recipe needs a name, a version and something to build")
	}
	if r.Java != nil {
		if err := r.Java.check(); err != nil {
			return fmt.Errorf("%s: %w", r, err)
		}
	}
	for _, p := range r.Debian {
		if !packageName.MatchString(p) {
			return fmt.Errorf("%s: %q is no name of a package of Debian", r, p)
		}
	}
	for _, name := range r.Wheels {
		if !requirement.MatchString(name) {
			return fmt.Errorf("%s: %q is no NAME==VERSION of a package of Python", r, name)
		}
	}
	for _, a := range r.Archives {
		if err := a.check(); err != nil {
			return fmt.Errorf("%s: %w", r, err)
		}
	}
	for _, p := range r.Programs {
		switch {
		case !path.IsAbs(p.Path) || path.Clean(p.Path) != p.Path:
			return fmt.Errorf("%s: %q is no absolute path in an image", r, p.Path)
		case p.Module == "" || p.Version == "":
			return fmt.Errorf("%s: a Go program needs a module and its version", r)
		case (p.Main == "") == (p.Package == ""):
			return fmt.Errorf("%s: a Go program is either a source file of its own or a package", r)
		}
	}
	return nil
}

// Engine is what [Ensure] needs of a Docker engine.
type Engine interface {
	// Arch is the engine's processor, as Go calls it.
	Arch() string
	// Image returns the id of an image; ok is false if the engine lacks it.
	Image(ctx context.Context, ref string) (id string, ok bool, err error)
	// Import makes an image of a root file system. changes are lines of a Dockerfile.
	Import(ctx context.Context, ref string, root io.Reader, message string, changes ...string) (id string, err error)
}

// Label is the label of an image that a recipe made; its value is the recipe's name and
// release. Such images stay when coup's own are removed: they took minutes to build.
const Label = "coup.system"

// Ensure returns the id of the recipe's image on the engine, and builds the image if the
// engine lacks it. how says where the image is from, and how long that took.
func Ensure(ctx context.Context, e Engine, r Recipe, o Options) (id, how string, err error) {
	begun := time.Now()
	o.Arch = e.Arch()
	if err := r.check(); err != nil {
		return "", "", err
	}
	if r, err = Resolve(ctx, r, o); err != nil {
		return "", "", err
	}
	ref := r.Reference()
	id, ok, err := e.Image(ctx, ref)
	if err != nil || ok {
		return id, "the engine had " + ref, err
	}
	o.say("the engine has no image of %s", r)
	root, kept, err := build(ctx, r, o)
	if err != nil {
		return "", "", err
	}
	defer root.Close()
	o.say("importing %s", ref)
	changes := []string{"LABEL " + Label + "=" + r.Name + "-" + r.Version}
	if len(r.Closure) > 0 {
		commands := "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
		if r.Java != nil {
			commands = javaDir + "/bin:" + commands
		}
		changes = append(changes, "ENV PATH="+commands, "ENV LANG=C.UTF-8")
	}
	id, err = e.Import(ctx, ref, root, "made by coup", changes...)
	if err != nil {
		return "", "", err
	}
	how = fmt.Sprintf("built %s in %.0f s", ref, time.Since(begun).Seconds())
	if kept {
		how = fmt.Sprintf("imported %s, which had been built before", ref)
	}
	o.say("%s", how)
	return id, how, nil
}
