package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/spf13/pflag"
)

// The documents say what is: their links lead somewhere, the files that they name are
// there, and the commands in them are understood.
func TestDocs(t *testing.T) {
	t.Chdir("../..")
	for _, name := range documents(t) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems(name, string(text)) {
			t.Errorf("%s: %s", name, p)
		}
	}
}

func documents(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob("docs/*.md")
	if err != nil || len(all) < 9 {
		t.Fatalf("%d chapters: %v", len(all), err)
	}
	return append(all, "README.md")
}

// The map of the packages has every folder of the module that holds Go code.
func TestDocsMapIsWhole(t *testing.T) {
	t.Chdir("../..")
	text, err := os.ReadFile("docs/6-adding-things.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for pkg := range strings.Lines(packages(t)) {
		folder, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(pkg), "coup/"), "/")
		if seen[folder] || folder == "coup" { // the module itself
			continue
		}
		seen[folder] = true
		if !regexp.MustCompile(`(?m)^` + folder + `/`).Match(text) {
			t.Errorf("the map in chapter 6 lacks %s/", folder)
		}
	}
	if len(seen) < 10 {
		t.Errorf("only %d folders have packages", len(seen))
	}
}

func packages(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestDocsThatAreWrong(t *testing.T) {
	t.Chdir("../..")
	for _, c := range []struct{ text, want string }{
		{"[a](docs/nowhere.md)", "docs/nowhere.md is not there"},
		{"![a](docs/nothing.png)", "docs/nothing.png is not there"},
		{"# One\n[a](#two)", "README.md has no heading #two"},
		{"[a](docs/2-faults.md#no-such-heading)", "docs/2-faults.md has no heading #no-such-heading"},
		{"`coup frobnicate`", "unknown command"},
		{"`coup run --no-such-flag`", "unknown flag: --no-such-flag"},
		{"```\nbin/coup report\n```", "accepts 1 arg(s), received 0"},
		{"```\ncoup run --nemesis kill:everyone\n```", "kill can't be aimed at"},
		{"```\ncoup hunt --seeds 1-9 --workload shop\n```", "there is no workload"},
		{"```\ncoup run --promise 'gap<5s' --promise 'gap<5'\n```", "gap<5"},
		{"```\ncoup run --plan releases/0.yaml\n```", "no such file"},
		{"```\nzcat h.gz | coup check --modle set -\n```", "unknown flag: --modle"},
		{"`--no-such-flag` helps", "no command has the flag --no-such-flag"},
		{"`make nothing`", "Makefile has no nothing"},
		{"see `nemesis/nowhere.go`", "nemesis/nowhere.go is not there"},
		{"`go doc ./cluster/nowhere`", "cluster/nowhere is not there"},
		{"```\nharness/   a\n  nowhere/   b\n```", "harness/nowhere/ is not there"},
	} {
		got := problems("README.md", c.text)
		if len(got) != 1 || !strings.Contains(got[0], c.want) {
			t.Errorf("%q: %q, want one with %q", c.text, got, c.want)
		}
	}
	for _, text := range []string{
		"# One\n## Two, (three)\n[a](#two-three), [b](docs/report.png), [c](https://example.com/x)",
		"```\ncoup run --plan RUN_DIR --backend docker # a comment\nsome output: coup knows --nothing\n```",
		"```\ncoup run --promise 'leaderless<5s after healing' --promise 'gap<5s'\n```",
		"```\nbin/coup hunt --plan releases/493.yaml --node bin/raft.wasm --seeds 1-20\n```",
		"`coup check RUN_DIR|HISTORY`, `coup COMMAND --help`, `--seeds`, `make run`, `bin/coup`, `kill:leader`, `a/b`",
	} {
		if got := problems("README.md", text); len(got) > 0 {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// problems are what is wrong with a document of the repository, which is the current directory.
func problems(name, text string) (all []string) {
	add := func(err error) {
		if err != nil {
			all = append(all, err.Error())
		}
	}
	prose, blocks := fences(text)
	for _, link := range links.FindAllStringSubmatch(code.ReplaceAllString(prose, ""), -1) {
		add(leads(name, text, link[1]))
	}
	for _, span := range code.FindAllStringSubmatch(prose, -1) {
		add(checkSpan(strings.ReplaceAll(span[1], `\|`, "|")))
	}
	for _, b := range blocks {
		var folders []string
		for line := range strings.Lines(b) {
			add(checkLine(line))
			if m := folder.FindStringSubmatch(line); m != nil {
				depth := len(m[1]) / 2
				folders = append(folders[:min(depth, len(folders))], m[2])
				add(exists(path.Join(folders...) + "/"))
			}
		}
	}
	return all
}

var (
	links  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	code   = regexp.MustCompile("`([^`\n]+)`")
	folder = regexp.MustCompile(`^((?:  )*)([a-z/]+)/ {2,}\S`) // of a tree of folders
	word   = regexp.MustCompile(`'[^']*'|[^\s']+`)
	flag   = regexp.MustCompile(`^--([a-z-]+)`)
)

// fences parts what is within ``` from the rest.
func fences(text string) (prose string, blocks []string) {
	for i, part := range strings.Split("\n"+text, "\n```") {
		if i%2 == 0 {
			prose += part
			continue
		}
		_, block, _ := strings.Cut(part, "\n") // the language
		blocks = append(blocks, block)
	}
	return prose, blocks
}

// leads fails for a link that leads nowhere.
func leads(from, text, link string) error {
	if strings.Contains(link, "://") {
		return nil
	}
	file, anchor, _ := strings.Cut(link, "#")
	to := from
	if file != "" {
		to = path.Join(path.Dir(from), file)
		if err := exists(to); err != nil {
			return err
		}
		b, err := os.ReadFile(to)
		if err != nil && anchor != "" {
			return err
		}
		text = string(b)
	}
	if anchor == "" {
		return nil
	}
	prose, _ := fences(text)
	for line := range strings.Lines(prose) {
		if heading := strings.TrimLeft(line, "#"); heading != line && slug(heading) == anchor {
			return nil
		}
	}
	return fmt.Errorf("%s has no heading #%s", to, anchor)
}

// slug is the anchor that GitHub gives a heading.
func slug(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			return unicode.ToLower(r)
		}
		return -1
	}, strings.TrimSpace(heading))
}

func exists(file string) error {
	if _, err := os.Stat(file); err != nil {
		return fmt.Errorf("%s is not there", file)
	}
	return nil
}

// checkSpan checks a piece of code within a sentence: a command, a flag or a file.
func checkSpan(span string) error {
	words := strings.Fields(span)
	if m := flag.FindStringSubmatch(span); m != nil && !isFlag(m[1]) && words[0] != "--network" { // Docker's
		return fmt.Errorf("no command has the flag --%s", m[1])
	}
	switch {
	case len(words) == 2 && words[0] == "coup" && words[1] != "COMMAND" && words[1][0] != '-': // a command's name
		if cmd, _, err := newRoot(context.Background()).Find(words[1:]); err != nil || !cmd.HasParent() {
			return fmt.Errorf("unknown command %s", words[1])
		}
		return nil
	case len(words) > 1:
		return checkLine(span)
	}
	first, _, inside := strings.Cut(span, "/")
	if info, err := os.Stat(first); !inside || err != nil || !info.IsDir() || first == "bin" || first == "runs" || strings.Contains(span, "*") {
		return nil
	}
	return exists(span)
}

func isFlag(name string) bool {
	for _, c := range newRoot(context.Background()).Commands() {
		c.InitDefaultHelpFlag()
		if c.Flags().Lookup(name) != nil {
			return true
		}
	}
	return false
}

// checkLine checks a line that may be a command: make, go doc or coup.
func checkLine(line string) error {
	line, _, _ = strings.Cut(line, " #")
	for _, command := range strings.Split(line, " | ") {
		command, _, _ = strings.Cut(command, " > ")
		var words []string // as a shell takes them apart, without what is rare
		for _, w := range word.FindAllString(command, -1) {
			words = append(words, strings.Trim(w, "'"))
		}
		if len(words) < 2 {
			continue
		}
		switch words[0] {
		case "make":
			makefile, err := os.ReadFile("Makefile")
			if err != nil {
				return err
			}
			if !regexp.MustCompile(`(?m)^` + words[1] + `:`).Match(makefile) {
				return fmt.Errorf("Makefile has no %s", words[1])
			}
		case "go":
			if dir := words[len(words)-1]; strings.HasPrefix(dir, "./") {
				return exists(path.Clean(dir))
			}
		case "coup", "bin/coup":
			if err := checkCommand(words[1:]); err != nil {
				return fmt.Errorf("%s: %w", strings.TrimSpace(command), err)
			}
		}
	}
	return nil
}

// checkCommand fails for arguments of coup that it would not take. A plan is drawn, but
// nothing runs.
func checkCommand(args []string) error {
	root := newRoot(context.Background())
	root.InitDefaultHelpCmd()
	root.InitDefaultHelpFlag()
	if args[0] == "COMMAND" {
		return nil
	}
	cmd, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	// These read files that need not be there.
	dropped := []string{}
	for _, name := range []string{"--node", "--plan"} {
		if i := slices.Index(rest, name); i >= 0 && i+1 < len(rest) && !strings.HasPrefix(rest[i+1], "releases/") {
			dropped = append(dropped, name)
			rest = slices.Delete(slices.Clone(rest), i, i+2)
		}
	}
	if cmd.InitDefaultHelpFlag(); slices.Contains(rest, "--help") {
		return nil
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		return err
	}
	if name := cmd.Name(); name != "run" && name != "hunt" || slices.Contains(rest, "NAME") || slices.Contains(dropped, "--plan") || slices.Contains(rest, "--compose") {
		return nil
	}
	plan := []string{"run", "--print-plan"}
	if cmd.Name() == "hunt" {
		plan = append(plan, "--backend=sim")
	}
	root = newRoot(context.Background())
	run, _, err := root.Find(plan)
	if err != nil {
		return err
	}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if run.Flags().Lookup(f.Name) == nil {
			return
		}
		values := []string{strings.Trim(f.Value.String(), "[]")} // a map is written [name=value]
		if v, ok := f.Value.(pflag.SliceValue); ok {
			values = v.GetSlice()
		}
		for _, v := range values {
			plan = append(plan, "--"+f.Name+"="+v)
		}
	})
	root.SetOut(io.Discard)
	root.SetArgs(plan)
	return root.Execute()
}
