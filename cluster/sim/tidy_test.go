package sim

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What host code must not touch, or a run is not determined by its seed.
var forbidden = map[string][]string{
	"time":     {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"},
	"rand":     {"Int", "IntN", "Int64", "Int64N", "Uint32", "Uint64", "Float64", "Perm", "Shuffle", "N", "ExpFloat64", "NormFloat64"},
	"crypto":   {"*"},
	"maphash":  {"*"},
	"cputime":  {"*"},
	"os":       {"Getpid", "Hostname"},
	"runtime":  {"NumGoroutine", "NumCPU", "GOMAXPROCS"},
	"unsafe":   {"*"},
	"sync":     {"Mutex", "RWMutex", "WaitGroup", "Cond"},
	"errgroup": {"*"},
}

// The watchdog has to know real time; it ends runs and does nothing else. Memory
// from the kernel has an address, which only the kernel is told.
var exempt = map[string]bool{"world/watchdog.go": true, "engine/memory_unix.go": true}

// The rooms of this package, from the bottom up. The
// guest is another program's, apart from what both know (protocol.go).
var rooms = []string{"world", "engine", "disk", "tracing", "network", "machine", "."}

// violations lists what is forbidden in a file.
func violations(fset *token.FileSet, f *ast.File) (found []string) {
	say := func(n ast.Node, what string) {
		found = append(found, fset.Position(n.Pos()).String()+": "+what)
	}
	imported := map[string]bool{}
	for _, spec := range f.Imports {
		path := strings.Trim(spec.Path.Value, `"`)
		imported[path[strings.LastIndex(path, "/")+1:]] = true
		if path == "math/rand/v2" {
			imported["rand"] = true
		}
	}
	maps := mapNames(f)
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			pkg, ok := n.X.(*ast.Ident)
			if !ok || !imported[pkg.Name] || pkg.Obj != nil {
				break
			}
			for _, name := range forbidden[pkg.Name] {
				if name == "*" || name == n.Sel.Name {
					say(n, pkg.Name+"."+n.Sel.Name)
				}
			}
		case *ast.GoStmt:
			say(n, "go statement")
		case *ast.SelectStmt:
			say(n, "select statement")
		case *ast.ChanType:
			say(n, "channel")
		case *ast.RangeStmt:
			name := ""
			switch x := n.X.(type) {
			case *ast.Ident:
				name = x.Name
			case *ast.SelectorExpr:
				name = x.Sel.Name
			case *ast.CallExpr: // maps.Keys and maps.Values, unless sorted
				if sel, ok := x.Fun.(*ast.SelectorExpr); ok {
					if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "maps" {
						say(n, "the order of a map")
					}
				}
			}
			if maps[name] {
				say(n, "the order of the map "+name)
			}
		}
		return true
	})
	return found
}

// mapNames are the names of fields and variables that are declared as maps.
func mapNames(f *ast.File) map[string]bool {
	names := map[string]bool{}
	note := func(ids []*ast.Ident, typ ast.Expr) {
		if _, ok := typ.(*ast.MapType); ok {
			for _, id := range ids {
				names[id.Name] = true
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			note(n.Names, n.Type)
		case *ast.ValueSpec:
			note(n.Names, n.Type)
		case *ast.AssignStmt:
			for i, rhs := range n.Rhs {
				id, ok := n.Lhs[min(i, len(n.Lhs)-1)].(*ast.Ident)
				if lit, isLit := rhs.(*ast.CompositeLit); ok && isLit {
					note([]*ast.Ident{id}, lit.Type)
				}
			}
		}
		return true
	})
	return names
}

// hostCode parses the files of a room that are no tests.
func hostCode(t *testing.T, fset *token.FileSet, room string) map[string]*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(room, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]*ast.File{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		if files[name], err = parser.ParseFile(fset, name, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func TestNothingBreaksDeterminism(t *testing.T) {
	fset := token.NewFileSet()
	for _, room := range rooms {
		looked := 0
		for name, f := range hostCode(t, fset, room) {
			if exempt[name] {
				continue
			}
			looked++
			for _, v := range violations(fset, f) {
				t.Error(v)
			}
		}
		if looked == 0 {
			t.Errorf("nothing was looked at in %s", room)
		}
	}
}

// A lower room imports none of those above it, and no folder is forgotten.
func TestRoomsImportDown(t *testing.T) {
	const here = "coup/cluster/sim"
	fset := token.NewFileSet()
	for i, room := range rooms {
		for name, f := range hostCode(t, fset, room) {
			for _, spec := range f.Imports {
				path := strings.Trim(spec.Path.Value, `"`)
				if path != here && !strings.HasPrefix(path, here+"/") || path == here+"/guest" {
					continue
				}
				if below := strings.TrimPrefix(path, here+"/"); !slices.Contains(rooms[:i], below) {
					t.Errorf("%s imports %s", name, path)
				}
			}
		}
	}
	folders, err := filepath.Glob("*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range folders {
		if room := filepath.Dir(name); room != "guest" && !slices.Contains(rooms, room) {
			t.Errorf("%s is not among the rooms", room)
		}
	}
}

// The test above would catch each of these.
func TestViolationsAreFound(t *testing.T) {
	const source = `package p
import ("time"; "math/rand/v2"; "maps")
type s struct { m map[int]int }
func f(x s) {
	_ = time.Now()
	_ = rand.IntN(3)
	go f(x)
	var c chan int
	select {}
	for range x.m {}
	for range maps.Keys(x.m) {}
	local := map[int]int{}
	for range local {}
	_ = c
}`
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "p.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	if found := violations(fset, f); len(found) != 8 {
		t.Errorf("%d of 8 were found: %s", len(found), strings.Join(found, "; "))
	}
	clean := `package p
import ("time"; "math/rand/v2")
func f(r *rand.Rand, l []int) { _ = r.IntN(3); _ = time.Second; for range l {} }`
	if f, err = parser.ParseFile(fset, "q.go", clean, 0); err != nil {
		t.Fatal(err)
	}
	if found := violations(fset, f); len(found) != 0 {
		t.Errorf("false alarms: %s", strings.Join(found, "; "))
	}
}
