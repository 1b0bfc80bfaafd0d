package images

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// puller is an engine in memory with a registry that has some images.
type puller struct {
	engine
	registry map[string]bool
}

func (p *puller) Pull(_ context.Context, ref string, progress func(string)) (string, error) {
	progress("pulling from the registry")
	if !p.registry[ref] {
		return "", errors.New("manifest unknown")
	}
	p.images[ref] = nil
	return "id of " + ref, nil
}

func TestObtain(t *testing.T) {
	const official = "registry.invalid/told:1.0.0"
	built := local(t, hello)
	built.Official = official
	debian := Recipe{Name: "told", Debian: []string{"told-server"}, Official: official}
	bare := built
	bare.Official = ""
	for _, c := range []struct {
		name     string
		recipe   Recipe
		tools    bool
		had      []string // on the engine
		registry bool
		want     string // what How or the error says
		ok       bool
	}{
		{"built", built, true, nil, true, "built coup/told:1.0.0", true},
		{"built before", built, true, []string{built.Reference(), official}, false, "the engine had coup/told:1.0.0", true},
		{"pulled before", built, true, []string{official}, false, "the engine had the project's own image " + official, true},
		{"built before, no tools", built, false, []string{built.Reference()}, false, "the engine had coup/told:1.0.0", true},
		{"no tools", built, false, nil, true, "pulled the project's own image " + official, true},
		{"no apt", debian, false, nil, true, "pulled the project's own image " + official, true},
		{"no tools, no registry", built, false, nil, false, "there is no go in PATH: install Go (https://go.dev/doc/install); and the image " + official + " can't be pulled: manifest unknown", false},
		{"no apt, no registry", debian, false, nil, false, "there is no apt-get here: name an image of the system with --image REF; and the image", false},
		{"no tools, no image of the project's own", bare, false, nil, true, "there is no go in PATH: install Go", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !c.tools {
				t.Setenv("PATH", t.TempDir())
			}
			e := &puller{engine{images: map[string][]byte{}}, map[string]bool{official: c.registry}}
			for _, ref := range c.had {
				e.images[ref] = nil
			}
			i, err := Obtain(t.Context(), e, c.recipe, Options{CacheDir: t.TempDir()})
			if said := i.How; (err == nil) != c.ok || c.ok && !strings.HasPrefix(said, c.want) {
				t.Errorf("%+v, %v", i, err)
			}
			if c.ok && (i.ID != "id of "+i.Reference || (i.Reference == official) != strings.Contains(i.How, official)) {
				t.Errorf("%+v", i)
			}
			if !c.ok && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || !errors.Is(err, ErrTool)) {
				t.Errorf("it says: %v", err)
			}
		})
	}
	// Other errors than a tool that is missing are not papered over.
	broken := local(t, "package main\n\nfunc main() { nothing() }\n")
	broken.Official = official
	e := &puller{engine{images: map[string][]byte{}}, map[string]bool{official: true}}
	if _, err := Obtain(t.Context(), e, broken, Options{CacheDir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "undefined: nothing") {
		t.Errorf("a program that does not compile: %v", err)
	}
	if _, err := Pull(t.Context(), e, bare, Options{}); err == nil || !strings.Contains(err.Error(), "told 1.0.0") {
		t.Errorf("pull without a reference: %v", err)
	}
}

// What a project's own image is called is no part of what is built.
func TestOfficialIsNoPartOfTheReference(t *testing.T) {
	a := local(t, hello)
	b := a
	b.Official = "registry.invalid/told:1.0.0"
	if a.Reference() != b.Reference() {
		t.Errorf("%s, %s", a.Reference(), b.Reference())
	}
}
