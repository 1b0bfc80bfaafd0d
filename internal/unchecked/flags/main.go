// Flags prints the flags for go build and go test that make simulated machines fast: see
// package unchecked. It writes the files that they need into DIR.
//
//	go run ./internal/unchecked/flags DIR
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"coup/internal/tested"
	"coup/internal/unchecked"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: flags DIR")
		os.Exit(2)
	}
	flags, err := prepare(os.Args[1])
	switch {
	case errors.Is(err, unchecked.ErrUnknown):
		fmt.Fprintf(os.Stderr, "wazero is left as it is: %v; simulated machines will be slower by a third, and right as ever\n", err)
	case err != nil:
		fmt.Fprintf(os.Stderr, "flags for a changed wazero: %v\n", err)
		os.Exit(1)
	}
	fmt.Println(flags)
}

func prepare(dir string) (flags string, err error) {
	from, err := ask("list", "-m", "-f", "{{.Dir}}", unchecked.Module)
	if err == nil && from == "" {
		_, err = ask("mod", "download", unchecked.Module)
		if err == nil {
			from, err = ask("list", "-m", "-f", "{{.Dir}}", unchecked.Module)
		}
	}
	if err != nil {
		return "", err
	}
	release, err := ask("list", "-m", "-f", "{{.Version}}", unchecked.Module)
	if err != nil {
		return "", err
	}
	if err := tested.With("wazero", release); err != nil {
		return "", fmt.Errorf("%w: %w", unchecked.ErrUnknown, err)
	}
	to := filepath.Join(dir, "_wazero")
	if !filepath.IsAbs(to) {
		to = "." + string(filepath.Separator) + to // no module's path
	}
	if err := unchecked.Copy(from, to); err != nil {
		return "", err
	}
	// A go.mod that is the module's own, but for wazero.
	mod := to + ".mod"
	own, err := ask("env", "GOMOD")
	if err != nil {
		return "", err
	}
	for _, name := range []string{".mod", ".sum"} {
		text, err := os.ReadFile(strings.TrimSuffix(own, ".mod") + name)
		if err == nil {
			err = os.WriteFile(to+name, text, 0o644)
		}
		if err != nil {
			return "", err
		}
	}
	_, err = ask("mod", "edit", "-replace="+unchecked.Module+"="+to, mod)
	return "-modfile=" + mod + " -tags=" + unchecked.Tag, err
}

// ask runs the go command.
func ask(args ...string) (string, error) {
	out, err := exec.Command("go", args...).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = fmt.Errorf("go %s: %s", strings.Join(args, " "), strings.TrimSpace(string(exit.Stderr)))
	}
	return strings.TrimSpace(string(out)), err
}
