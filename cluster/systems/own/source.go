package own

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/types"
)

// Source is what a system is made of. It is stored with a run, and all that it takes to
// run it again but for the images and the client's program.
type Source struct {
	// Compose is the compose file as it was understood: with variables replaced, files of
	// environment variables read, and short forms written out.
	Compose string `json:"compose" yaml:"compose"`
	// Files are the files that it names, by their paths as they stand there.
	Files map[string]File `json:"files,omitempty" yaml:"files,omitempty"`
	// Base is the directory of the compose file, where images are built from.
	Base string `json:"base" yaml:"base"`
	// Notes are what has no effect on a run, in lines for a person.
	Notes []string `json:"notes,omitempty" yaml:"notes,omitempty"`
}

// File is the content of a file, which is text.
type File struct {
	Text string      `json:"text" yaml:"text"`
	Mode fs.FileMode `json:"mode,omitempty" yaml:"mode,omitempty"` // 0: 0644
}

// Bounds on what is taken into a plan.
const (
	longestFile = 1 << 20
	mostFiles   = 200
)

// Read reads a compose file and the files that it names. Its errors say what coup can't
// express, by its key.
func Read(ctx context.Context, path string) (Source, error) {
	quiet()
	dir := filepath.Dir(path)
	o, err := cli.NewProjectOptions([]string{path}, cli.WithWorkingDirectory(dir), cli.WithOsEnv, cli.WithDotEnv, cli.WithDiscardEnvFile)
	if err != nil {
		return Source{}, composeError(path, err)
	}
	cli.WithLoadOptions(func(l *loader.Options) {
		if l.Interpolate != nil { // the library also asks for a part of the options alone
			l.Interpolate.Substitute = substitute
		}
	})(o)
	p, err := o.LoadProject(ctx)
	if err != nil {
		return Source{}, composeError(path, err)
	}
	base, err := filepath.Abs(dir)
	if err != nil {
		return Source{}, err
	}
	relative(p, base)
	text, err := p.MarshalYAML(types.WithSecretContent)
	if err != nil {
		return Source{}, composeError(path, err)
	}
	s := Source{Compose: string(text), Files: map[string]File{}, Base: base}
	for _, named := range namedFiles(p) {
		if err := s.take(named.path, named.key); err != nil {
			return Source{}, fmt.Errorf("%s: %w", path, err)
		}
	}
	sys, err := New(s, Client{}) // what is wrong with it is told now, and not in the run
	if err != nil {
		return Source{}, fmt.Errorf("%s: %w", path, err)
	}
	s.Notes = sys.notes
	return s, nil
}

// composeError is an error of the library in one line.
func composeError(path string, err error) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	text = strings.TrimPrefix(text, "validating "+path+": ")
	if abs, absErr := filepath.Abs(path); absErr == nil {
		text = strings.TrimPrefix(text, "validating "+abs+": ")
	}
	if errors.Is(err, fs.ErrNotExist) && strings.Contains(text, path) {
		return fmt.Errorf("the compose file %s is not there", path)
	}
	return fmt.Errorf("%s: %s", path, text)
}

// plainVariable is $NAME or ${NAME}, which need the variable to be set.
var plainVariable = regexp.MustCompile(`(?:^|[^$])(?:\$\$)*\$(?:\{([A-Za-z_][A-Za-z_0-9]*)\}|([A-Za-z_][A-Za-z_0-9]*))`)

// substitute replaces the variables of a value. One that is not set, and has no default, is
// an error: the library takes it for empty.
func substitute(text string, lookup template.Mapping) (string, error) {
	for _, m := range plainVariable.FindAllStringSubmatch(text, -1) {
		name := m[1] + m[2]
		if _, ok := lookup(name); !ok {
			return "", fmt.Errorf("the variable %s is not set, and has no default such as ${%s:-value}", name, name)
		}
	}
	return template.Substitute(text, lookup)
}

// relative makes the paths of files below base relative to it, as they were written.
func relative(p *types.Project, base string) {
	shorten := func(path *string) {
		if under, err := filepath.Rel(base, *path); err == nil && filepath.IsAbs(*path) && filepath.IsLocal(under) {
			*path = filepath.ToSlash(under)
		}
	}
	for name, service := range p.Services {
		for i := range service.Volumes {
			if service.Volumes[i].Type == types.VolumeTypeBind {
				shorten(&service.Volumes[i].Source)
			}
		}
		if service.Build != nil {
			shorten(&service.Build.Context)
		}
		p.Services[name] = service
	}
	for name, c := range p.Configs {
		shorten(&c.File)
		p.Configs[name] = c
	}
	for name, s := range p.Secrets {
		shorten(&s.File)
		p.Secrets[name] = s
	}
}

// named is a file that a compose file names.
type named struct{ path, key string }

// namedFiles are the files and directories that the nodes of a project find.
func namedFiles(p *types.Project) (all []named) {
	for name, service := range p.Services {
		for _, v := range service.Volumes {
			if v.Type == types.VolumeTypeBind {
				all = append(all, named{v.Source, "services." + name + ".volumes"})
			}
		}
	}
	for name, c := range p.Configs {
		if c.File != "" {
			all = append(all, named{c.File, "configs." + name + ".file"})
		}
	}
	for name, s := range p.Secrets {
		if s.File != "" {
			all = append(all, named{s.File, "secrets." + name + ".file"})
		}
	}
	return all
}

// take takes a file, or all files of a directory.
func (s *Source) take(path, key string) error {
	at := path
	if !filepath.IsAbs(at) {
		at = filepath.Join(s.Base, path)
	}
	err := filepath.WalkDir(at, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		under, err := filepath.Rel(at, file)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(filepath.Join(path, under))
		switch {
		case !info.Mode().IsRegular():
			return fmt.Errorf("%s is no plain file", name)
		case info.Size() > longestFile || len(s.Files) >= mostFiles:
			return fmt.Errorf("%s is too much to be kept with the run (%d files of %d bytes are the most): put it into the image", name, mostFiles, longestFile)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if !utf8.Valid(text) {
			return fmt.Errorf("%s is no text: put it into the image", name)
		}
		s.Files[name] = File{Text: string(text), Mode: info.Mode().Perm()}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %s is not there", key, path)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}
