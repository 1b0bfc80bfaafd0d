package coup

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rooms are the packages of the module, from the bottom up. A package may import what
// stands in lines above its own. A name that ends in /... is a package with all below
// it, whose own order is told elsewhere or is of no interest.
var rooms = [][]string{
	{"internal/cputime", "internal/tested", "internal/testbrowser", "images/..."},
	{"internal/unchecked/...", "internal/onethread/..."},
	{"harness", "cluster/capture"},
	{"harness/gen", "harness/timeline"},
	{"cluster/trace", "cluster/sandbox", "cluster/sim/guest"},
	{"cluster/raftnode/..."},
	{"cluster"},
	{"cluster/docker", "cluster/sim/..."},
	{"checker/model"},
	{"checker/..."},
	{"cluster/systems/..."},
	{"nemesis", "workloads"},
	{"cluster/conformance", "cluster/clientcheck"},
	{"results"},
	{"results/report"},
	{"plan"},
	{"judge"},
	{"runner"},
	{"search"},
	{"nightly"},
	{"nightly/serve"},
	{"internal/testbuild", "cmd/raftnode", "releases/..."},
	{"internal/testengine", "internal/testnode"},
	{"cmd/coup"},
}

// roomOf is the line of a package in rooms, -1 if it has none. Names that say more count first.
func roomOf(pkg string) int {
	line, longest := -1, -1
	for i, names := range rooms {
		for _, name := range names {
			prefix, all := strings.CutSuffix(name, "/...")
			if (pkg == prefix || all && strings.HasPrefix(pkg, prefix+"/")) && len(name) > longest {
				line, longest = i, len(name)
			}
		}
	}
	return line
}

// imports are what the files of the module import from it, by package.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil:
			return err
		case d.IsDir() && file != "." && (name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "bin" || name == "runs"):
			return filepath.SkipDir
		case d.IsDir(), filepath.Ext(name) != ".go", strings.HasSuffix(name, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := path.Dir(filepath.ToSlash(file))
		all[pkg] = append(all[pkg], []string{}...)
		for _, spec := range f.Imports {
			what, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if what, ok := strings.CutPrefix(what, "coup/"); ok && !slices.Contains(all[pkg], what) {
				all[pkg] = append(all[pkg], what)
			}
		}
		return nil
	})
	if err != nil || len(all) < 20 {
		t.Fatalf("%d packages: %v", len(all), err)
	}
	return all
}

func TestImportsPointDown(t *testing.T) {
	for pkg, imported := range imports(t) {
		if pkg == "." {
			if len(imported) > 0 {
				t.Errorf("the root of the module holds no code, and imports %v", imported)
			}
			continue
		}
		here := roomOf(pkg)
		if here < 0 {
			t.Errorf("say in which room %s is", pkg)
			continue
		}
		for _, what := range imported {
			there := roomOf(what)
			if there < 0 || there > here || there == here && !together(pkg, what) {
				t.Errorf("%s imports %s, which stands no higher", pkg, what)
			}
		}
	}
}

// together says whether two packages stand in the same line by one name, such as
// checker/...; then their order is no matter of this test.
func together(a, b string) bool {
	for _, name := range slices.Concat(rooms...) {
		prefix, all := strings.CutSuffix(name, "/...")
		in := func(pkg string) bool { return pkg == prefix || strings.HasPrefix(pkg, prefix+"/") }
		if all && in(a) && in(b) {
			return true
		}
	}
	return false
}

// The harness knows nothing else of coup, so that other tests can use it by itself.
func TestHarnessImportsNothingElse(t *testing.T) {
	for pkg, imported := range imports(t) {
		for _, what := range imported {
			own := pkg != "harness" && what == "harness"
			if (pkg == "harness" || strings.HasPrefix(pkg, "harness/")) && !own {
				t.Errorf("%s imports %s", pkg, what)
			}
		}
	}
}
