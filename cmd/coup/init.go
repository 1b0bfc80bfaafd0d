package main

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

// starter holds what coup init writes.
//
//go:embed starter
var starter embed.FS

func newInit() *cobra.Command {
	return &cobra.Command{
		Use:   "init [DIR]",
		Short: "Write a compose file, a client and a plan to start from",
		Long: `Write what a test of a system of your own is made of into a directory: compose.yaml says
what the nodes are, client.py talks to them, plan.yaml says what is run. They work as they are:
three Redis servers, of which one is the primary. Replace the services by yours, then what the
client sends. No file is overwritten.`,
		Example: `  coup init mine
  coup run --plan mine/plan.yaml
  coup client-check --plan mine/plan.yaml`,
		Args: usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			names, err := writeStarter(dir)
			if err != nil {
				return err
			}
			for _, name := range names {
				fmt.Fprintf(cmd.OutOrStdout(), "wrote %s\n", name)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "try: coup run --plan %s\n", filepath.Join(dir, "plan.yaml"))
			return nil
		},
	}
}

// writeStarter writes all files, or none if one is there already.
func writeStarter(dir string) (names []string, err error) {
	files, err := fs.ReadDir(starter, "starter")
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		name := filepath.Join(dir, f.Name())
		if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			return nil, usageError{fmt.Errorf("%s is there already: take another directory", name)}
		}
		names = append(names, name)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for i, f := range files {
		text, err := fs.ReadFile(starter, "starter/"+f.Name())
		if err == nil {
			err = os.WriteFile(names[i], text, 0o644)
		}
		if err != nil {
			return nil, err
		}
	}
	return names, nil
}
