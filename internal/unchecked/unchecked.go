// Package unchecked makes a wazero that does not check each access of a compiled program
// against the size of its memory. If all memory that 32 bits of address can reach is
// reserved for a machine, no access can leave it. But the checks are a third of the
// compiled code, and simulated machines with them take half as long again. Start with
// [Copy].
//
// Nothing of wazero's source is kept here: the release that go.mod names is copied
// and changed when coup is built (make build). A build without that works
// the same, and is slower.
package unchecked

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrUnknown says that this release of wazero has another source than the known one.
var ErrUnknown = errors.New("unknown to package unchecked")

// Module is what is changed.
const Module = "github.com/tetratelabs/wazero"

// Tag is the build tag of what needs the changed module.
const Tag = "unchecked"

// lowering is the file that makes the checks, and added one that is not there yet.
const (
	lowering = "internal/engine/wazevo/frontend/lower.go"
	added    = "experimental/unchecked.go"
)

// Copy makes a changed copy of the module in the folder from, as the folder to,
// which it replaces, unless that is the same one. It fails with an error of the kind ErrUnknown, and makes
// nothing, if the source is not as it is known.
func Copy(from, to string) error {
	text, err := os.ReadFile(filepath.Join(from, lowering))
	if err != nil {
		return fmt.Errorf("%w: %v", ErrUnknown, err)
	}
	changed, err := leaveOut(string(text))
	if err != nil {
		return err
	}
	hash := sha256.Sum256([]byte(changed))
	flag := fmt.Sprintf("package experimental\n\n"+
		"// Unchecked has programs compiled without checks of their accesses to memory.\n"+
		"// This copy was made of %s.\n"+
		"var Unchecked bool\n\n"+
		"// UncheckedID tells one change of the module from another.\n"+
		"const UncheckedID = %q\n", filepath.Base(from), hex.EncodeToString(hash[:8]))
	if had, err := os.ReadFile(filepath.Join(to, added)); err == nil && string(had) == flag {
		return nil // it is there, and another build may be reading it
	}
	parent := filepath.Dir(to)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	made, err := os.MkdirTemp(parent, "_new-") // no package for ./...
	if err != nil {
		return err
	}
	defer os.RemoveAll(made)
	if err := copySource(from, made); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(made, lowering), []byte(changed), 0o644),
		os.WriteFile(filepath.Join(made, added), []byte(flag), 0o644),
		os.RemoveAll(to),
		os.Rename(made, to),
	)
}

// copySource copies what the module is built from.
func copySource(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == "testdata" {
				return fs.SkipDir
			}
			return nil
		}
		source := strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, ".s")
		if !source && name != "go.mod" && name != "LICENSE" && name != "NOTICE" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		path = filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(path, text, 0o644)
	})
}

// leaveOut returns the source of lowering with the check of an access made only
// where programs are to be checked. The lines keep their numbers.
func leaveOut(text string) (string, error) {
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, "", text, parser.SkipObjectResolution)
	if err != nil {
		return "", fmt.Errorf("%w: %v", ErrUnknown, err)
	}
	at := func(p token.Pos) int { return set.Position(p).Offset }
	imports := -1 // behind the parenthesis
	from, to := -1, -1
	for _, d := range tree.Decls {
		switch d := d.(type) {
		case *ast.GenDecl:
			if d.Tok == token.IMPORT && d.Lparen.IsValid() && imports < 0 {
				imports = at(d.Lparen) + 1
			}
		case *ast.FuncDecl:
			if d.Name.Name != "memOpSetup" {
				continue
			}
			for i, next := range d.Body.List {
				s := d.Body.List[max(0, i-1)]
				if strings.Contains(text[at(s.Pos()):at(s.End())], ".AsExitIfTrueWithCode(") &&
					strings.HasPrefix(text[at(next.Pos()):at(next.End())], "builder.InsertInstruction(") {
					from, to = at(next.Pos()), at(next.End())
				}
			}
		}
	}
	if imports < 0 || from < imports || strings.Contains(text, `/experimental"`) {
		return "", fmt.Errorf("%w: nothing to change in %s", ErrUnknown, lowering)
	}
	return text[:imports] + ` "` + Module + `/experimental"; ` + text[imports:from] +
		"if !experimental.Unchecked { " + text[from:to] + " }" + text[to:], nil
}
