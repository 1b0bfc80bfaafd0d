// Package onethread makes Go's runtime cheaper for machines with a single thread, such as
// simulated ones (GOOS=wasip1). With one thread, nothing happens between two instructions
// of a program. So every load is atomic, no lock is ever held by another thread, and locks
// may be taken in any order. Go's own files for WebAssembly nevertheless do what several
// threads need, in calls that can't be inlined. Half of the calls of an idle raft node are
// of this kind.
//
// Start with [Command]. Nothing of Go's source is kept here: the files of the release in
// use are changed on the way to the compiler (go help build, -overlay). A program does the
// same as before, with two exceptions: some checks of the runtime's own locks are gone; and
// because no time passes on a simulated machine while a program computes, the runtime reads
// the clock once after each wait, and then only now and then.
package onethread

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"coup/internal/tested"
)

// ErrUnknown says that this release of Go has other files than the known ones, or was
// never tested with the change.
var ErrUnknown = errors.New("unknown to package onethread")

// Command is go build with these arguments, for such a machine. It uses changed files of
// the Go release in use, which it writes into dir, and compiles the runtime (and nothing
// else) without checks of bounds and of nil. With an error of the kind ErrUnknown there is
// a command too: it changes nothing, and its programs are slower. Several processes may
// use the same dir at the same time. Within a module, the name of dir should begin with _,
// or ./... takes it for a package.
func Command(dir string, args ...string) (*exec.Cmd, error) {
	out, err := exec.Command("go", "env", "-json", "GOROOT", "GOVERSION", "GOMODCACHE").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	var at struct{ GOROOT, GOVERSION, GOMODCACHE string }
	if err := json.Unmarshal(out, &at); err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	command := func(goroot string, flags ...string) *exec.Cmd {
		// The release that was asked for its files, and no other, compiles them.
		cmd := exec.Command(filepath.Join(goroot, "bin", "go"), slices.Concat([]string{"build", "-trimpath", "-buildvcs=false"}, flags, args)...)
		cmd.Env = append(os.Environ(), "GOROOT="+goroot, "GOTOOLCHAIN=local", "GOOS=wasip1", "GOARCH=wasm")
		return cmd
	}
	if err := tested.With("go", at.GOVERSION); err != nil {
		return command(at.GOROOT), fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	goroot, err := outside(at.GOMODCACHE, at.GOROOT, dir)
	if err != nil {
		return command(at.GOROOT), fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	list, err := overlay(goroot, dir)
	switch {
	case errors.Is(err, ErrUnknown):
		return command(at.GOROOT), err
	case err != nil:
		return nil, err
	}
	return command(goroot, "-overlay="+list, "-gcflags=runtime=-B -d=disablenil"), nil
}

// outside returns goroot by a name that is not below the cache of modules, where the
// go command allows no overlay, and where it puts the releases that it fetches: a link
// in dir, if need be.
func outside(cache, goroot, dir string) (string, error) {
	if in, err := filepath.Rel(cache, goroot); err != nil || !filepath.IsLocal(in) {
		return goroot, nil
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	link := filepath.Join(dir, filepath.Base(goroot))
	if to, err := os.Readlink(link); err == nil && to == goroot {
		return link, nil
	}
	// Another build that makes the same link is no mistake.
	if err := os.Symlink(goroot, link); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	if to, err := os.Readlink(link); err != nil || to != goroot {
		return "", fmt.Errorf("%s is no link to %s: remove it", link, goroot)
	}
	return link, nil
}

// overlay writes the changed files, and beside them the list of them that go build
// takes as its -overlay, whose path it returns. The list is empty with ErrUnknown.
func overlay(goroot, dir string) (list string, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	replace := map[string]string{}
	changed, unknown := change(func(name string) ([]byte, error) {
		return os.ReadFile(filepath.Join(goroot, "src", filepath.FromSlash(name)))
	})
	for name, text := range changed {
		to := filepath.Join(dir, strings.ReplaceAll(name, "/", "-"))
		if err := write(to, text); err != nil {
			return "", err
		}
		replace[filepath.Join(goroot, "src", filepath.FromSlash(name))] = to
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	list = filepath.Join(dir, "overlay.json")
	return list, errors.Join(write(list, text), unknown)
}

// write puts a file there whole or not at all, unless it is there already.
func write(path string, text []byte) error {
	if had, err := os.ReadFile(path); err == nil && string(had) == string(text) {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), "new-")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

const (
	atomics    = "internal/runtime/atomic/atomic_wasm.go"
	locks      = "runtime/lock_wasip1.go"
	system     = "runtime/os_wasip1.go"
	scheduler  = "runtime/proc.go"
	selects    = "runtime/select.go"
	syncs      = "sync/atomic/doc.go"
	syncs64    = "sync/atomic/doc_64.go"
	trampoline = "sync/atomic/asm.s"
)

// change returns the files to change, by their names below Go's src: all of
// them, or none and an error.
func change(read func(name string) ([]byte, error)) (map[string][]byte, error) {
	changed := map[string][]byte{}
	given := map[string]bool{} // functions that have a body now
	for _, c := range []struct {
		name string
		edit func(f *file)
	}{
		{atomics, (*file).inlineAtomics},
		{locks, (*file).trustLocks},
		{system, (*file).rememberTime},
		{scheduler, (*file).waitAlone},
		{selects, (*file).selectAlone},
		{syncs, func(f *file) { f.giveBodies(given) }},
		{syncs64, func(f *file) { f.giveBodies(given) }},
	} {
		text, err := read(c.name)
		if err != nil {
			return nil, fmt.Errorf("%w: %v", ErrUnknown, err)
		}
		f, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("%w: %v", ErrUnknown, err)
		}
		if c.edit(f); len(f.edits) == 0 || f.missing {
			return nil, fmt.Errorf("%w: nothing to change in %s", ErrUnknown, c.name)
		}
		changed[c.name] = f.apply()
	}
	text, err := read(trampoline)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrUnknown, err)
	}
	rest := 0
	changed[trampoline] = jump.ReplaceAllFunc(text, func(b []byte) []byte {
		if !given[string(jump.FindSubmatch(b)[1])] {
			return b
		}
		rest++
		return nil
	})
	if rest != len(given) {
		return nil, fmt.Errorf("%w: %d of %d functions in %s", ErrUnknown, rest, len(given), trampoline)
	}
	return changed, nil
}

// jump is a function in assembler that is another one.
var jump = regexp.MustCompile(`(?m)^TEXT ·(\w+)\(SB\),NOSPLIT,\$0.*\n\tJMP\t.*\n`)

// file is a Go source that is being changed.
type file struct {
	text  []byte
	set   *token.FileSet
	tree  *ast.File
	edits []edit
	// missing: something that was to be changed is not there.
	missing bool
}

type edit struct {
	from, to int // bytes of the text
	by       string
}

func parse(text []byte) (*file, error) {
	f := &file{text: text, set: token.NewFileSet()}
	var err error
	f.tree, err = parser.ParseFile(f.set, "", text, parser.ParseComments|parser.SkipObjectResolution)
	return f, err
}

func (f *file) replace(from, to token.Pos, by string) {
	f.edits = append(f.edits, edit{f.set.Position(from).Offset, f.set.Position(to).Offset, by})
}

// apply returns the text with all edits made. Lines keep their numbers.
func (f *file) apply() []byte {
	slices.SortFunc(f.edits, func(a, b edit) int { return a.from - b.from })
	var out []byte
	at := 0
	for _, e := range f.edits {
		out = append(out, f.text[at:e.from]...)
		out = append(out, e.by...)
		out = append(out, strings.Repeat("\n", strings.Count(string(f.text[e.from:e.to]), "\n"))...)
		at = e.to
	}
	return append(out, f.text[at:]...)
}

func (f *file) functions(do func(fn *ast.FuncDecl)) {
	for _, d := range f.tree.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok {
			do(fn)
		}
	}
}

// drop removes a directive of a function.
func (f *file) drop(fn *ast.FuncDecl, directive string) {
	if fn.Doc == nil {
		return
	}
	for _, c := range fn.Doc.List {
		if c.Text == directive {
			f.replace(c.Pos(), c.End(), "")
		}
	}
}

// inlineAtomics lets the compiler inline what is a load or a store. Where a
// pointer is written, the function's own package is what spares it the write
// barrier.
func (f *file) inlineAtomics() {
	f.functions(func(fn *ast.FuncDecl) {
		if fn.Body != nil && (strings.HasPrefix(fn.Name.Name, "Load") || !f.ofPointers(fn)) {
			f.drop(fn, "//go:noinline")
		}
	})
}

func (f *file) ofPointers(fn *ast.FuncDecl) bool {
	return strings.Contains(f.source(fn.Type), "unsafe.Pointer")
}

// trustLocks removes what throws when locks are not as they should be, after
// which they are short enough to be inlined.
func (f *file) trustLocks() {
	f.functions(func(fn *ast.FuncDecl) {
		if fn.Name.Name != "lock2" && fn.Name.Name != "unlock2" {
			return
		}
		for _, s := range fn.Body.List {
			if c, ok := s.(*ast.IfStmt); ok && len(c.Body.List) == 1 && isThrow(c.Body.List[0]) {
				f.replace(c.Pos(), c.End(), "")
			}
		}
	})
}

func isThrow(s ast.Stmt) bool {
	e, ok := s.(*ast.ExprStmt)
	if !ok {
		return false
	}
	call, ok := e.X.(*ast.CallExpr)
	if !ok {
		return false
	}
	name, ok := call.Fun.(*ast.Ident)
	return ok && name.Name == "throw"
}

// function returns the function called name.
func (f *file) function(name string) *ast.FuncDecl {
	for _, d := range f.tree.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == name {
			return fn
		}
	}
	f.missing = true
	return nil
}

// rewrite gives a function another body.
func (f *file) rewrite(name, body string) {
	if fn := f.function(name); fn != nil && fn.Body != nil {
		f.replace(fn.Body.Lbrace, fn.Body.End(), "{ "+body+" }")
	} else {
		f.missing = true
	}
}

// find returns the place of a statement among others.
func (f *file) find(among []ast.Stmt, is func(s ast.Stmt) bool) int {
	i := slices.IndexFunc(among, is)
	f.missing = f.missing || i < 0
	return i
}

func (f *file) source(n ast.Node) string {
	return string(f.text[f.set.Position(n.Pos()).Offset:f.set.Position(n.End()).Offset])
}

// rememberTime makes the runtime remember the time of the machine's clocks until the program
// waits again, but only for so many reads: a program that does nothing but read the clock
// must see it move.
func (f *file) rememberTime() {
	f.rewrite("walltime1", "if wallClock.left == 0 { wallClock.ask(clockRealtime) }; wallClock.left--; "+
		"return int64(wallClock.time / 1000000000), int32(wallClock.time % 1000000000)")
	f.rewrite("nanotime1", "if ownClock.left == 0 { ownClock.ask(clockMonotonic) }; ownClock.left--; return int64(ownClock.time)")
	poll := f.function("poll_oneoff")
	if poll == nil || poll.Body != nil || f.source(poll.Type) != "func poll_oneoff("+pollParams+") errno" {
		f.missing = true
		return
	}
	f.replace(poll.Name.Pos(), poll.Name.End(), tested.Mark)
	f.replace(f.tree.FileEnd, f.tree.FileEnd, clocks)
}

const pollParams = "in *subscription, out *event, nsubscriptions size, nevents *size"

const clocks = `
// remembered is what a clock shows, for so many looks.
type remembered struct {
	time timestamp
	left int
}

var wallClock, ownClock remembered

func (r *remembered) ask(id clockid) {
	if clock_time_get(id, 0, &r.time) != 0 {
		throw("clock_time_get failed")
	}
	r.left = 16
}

func poll_oneoff(` + pollParams + `) errno {
	wallClock.left, ownClock.left = 0, 0
	return ` + tested.Mark + `(in, out, nsubscriptions, nevents)
}
`

// waitAlone makes the only thread wait for the machine's events or the next timer as soon
// as it has nothing to run, and wake no other thread when it has. It does not first look
// for events or at the queues of other threads, and does not give its own queue away while
// it waits. During a garbage collection, or when there is nothing to wait for, the runtime
// does the same as before.
func (f *file) waitAlone() {
	f.rewrite("wakep", "")
	fn := f.function("findRunnable")
	if fn == nil {
		return
	}
	poll := f.find(fn.Body.List, func(s ast.Stmt) bool {
		c, ok := s.(*ast.IfStmt)
		return ok && strings.HasPrefix(f.source(c), "if netpollinited() && netpollAnyWaiters() && sched.lastpoll.Load() != 0") &&
			len(c.Body.List) > 0 && f.source(c.Body.List[0]) == "list, delta := netpoll(0)"
	})
	checked := f.find(fn.Body.List, func(s ast.Stmt) bool { return f.source(s) == "now, pollUntil, _ := pp.timers.check(0, nil)" })
	if poll > checked && checked >= 0 {
		f.replace(fn.Body.List[poll].Pos(), fn.Body.List[poll].Pos(), "if gcBlackenEnabled == 0 && !traceEnabled() && netpollinited() && (netpollAnyWaiters() || pollUntil != 0) { "+
			"delay := int64(-1); if pollUntil != 0 { delay = max(0, pollUntil-now) }; "+
			"list, delta := netpoll(delay); netpollAdjustWaiters(delta); if list.empty() { goto top }; "+
			"gp := list.pop(); injectglist(&list); casgstatus(gp, _Gwaiting, _Grunnable); return gp, false, false }; ")
	}
}

// selectAlone makes select only count itself as holding locks, which keeps the garbage
// collector away. Then it need not sort its channels; the order is only there so that no
// two threads wait for each other.
func (f *file) selectAlone() {
	f.rewrite("sellock", "getg().m.locks++")
	f.rewrite("selunlock", "getg().m.locks--")
	fn := f.function("selparkcommit")
	if fn == nil {
		return
	}
	if n := len(fn.Body.List); n < 4 || !strings.HasPrefix(f.source(fn.Body.List[n-4]), "var lastc") {
		f.missing = true
	} else {
		f.replace(fn.Body.List[n-4].Pos(), fn.Body.List[n-2].End(), "getg().m.locks--")
	}
	if fn = f.function("selectgo"); fn == nil {
		return
	}
	heap := f.find(fn.Body.List[:len(fn.Body.List)-1], func(s ast.Stmt) bool {
		r, ok := s.(*ast.RangeStmt)
		return ok && f.source(r.X) == "lockorder"
	})
	if heap < 0 {
		return
	}
	if sorted, ok := fn.Body.List[heap+1].(*ast.ForStmt); ok {
		f.replace(fn.Body.List[heap].Pos(), sorted.End(), "lockorder = pollorder")
	} else {
		f.missing = true
	}
}

// bodies are what the functions of sync/atomic do, by how their names begin.
// Their parameters and results are named as in Go's declarations.
var bodies = []struct{ prefix, body string }{
	{"Swap", "old = *addr; *addr = new; return"},
	{"CompareAndSwap", "if *addr == old { *addr = new; return true }; return false"},
	{"Add", "*addr += delta; return *addr"},
	{"And", "old = *addr; *addr &= mask; return"},
	{"Or", "old = *addr; *addr |= mask; return"},
	{"Load", "return *addr"},
	{"Store", "*addr = val"},
}

// giveBodies writes functions in Go that are in assembler; given are those.
// Writing a pointer takes a write barrier, and the runtime itself asks the linker for
// those that write a uintptr: these stay as they are.
func (f *file) giveBodies(given map[string]bool) {
	f.functions(func(fn *ast.FuncDecl) {
		name := fn.Name.Name
		if fn.Body != nil || fn.Recv != nil {
			return
		}
		if writes := !strings.HasPrefix(name, "Load"); writes && (f.ofPointers(fn) ||
			strings.HasSuffix(name, "Uintptr") && (strings.HasPrefix(name, "Store") || strings.Contains(name, "Swap"))) {
			return
		}
		for _, b := range bodies {
			if strings.HasPrefix(name, b.prefix) {
				f.drop(fn, "//go:noescape")
				f.replace(fn.End(), fn.End(), " { "+b.body+" }")
				given[name] = true
				return
			}
		}
	})
}
