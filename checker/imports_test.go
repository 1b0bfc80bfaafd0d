package checker_test

import (
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layers are the packages of the checker from the bottom up. Each may import what
// lies in lines above its own, and of the rest of coup only harness.
var layers = [][]string{
	{"model"},
	{"story"},
	{"clusters", "graph"},
	{"elements", "invariants", "strangers"},
	{"linearizable", "weaker", "transactions"},
	{"conduct", "catalogue"},
	{"promise", "online", "histories"},
}

func TestImportsPointDown(t *testing.T) {
	layer := func(name string) int {
		return slices.IndexFunc(layers, func(names []string) bool { return slices.Contains(names, name) })
	}
	files, err := filepath.Glob("*/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		here := layer(filepath.Dir(file))
		if here < 0 {
			t.Errorf("%s: say in which layer its package is", file)
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range f.Imports {
			what, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			inChecker := path.Dir(what) == "coup/checker" && layer(path.Base(what)) >= 0
			switch {
			case !strings.HasPrefix(what, "coup/"), what == "coup/harness", what == "coup/harness/timeline":
			case !inChecker, layer(path.Base(what)) >= here:
				t.Errorf("%s imports %s, which lies no deeper", file, what)
			}
		}
	}
}
