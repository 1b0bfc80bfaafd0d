package main

import (
	"os"

	"github.com/spf13/cobra"

	"coup/cluster/raftnode"
	"coup/cluster/sandbox"
)

// The commands that containers run: the image of a node holds coup's own binary.

func newNode() *cobra.Command {
	return &cobra.Command{
		Use: "raftnode", Short: "The bundled system under test; runs in a node's container",
		Hidden: true, DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			return exitCode(raftnode.Main(args, os.Stdout, os.Stderr))
		},
	}
}

func newSandbox() *cobra.Command {
	return &cobra.Command{
		Use: "sandbox", Short: "The agent that breaks a node; runs in the sandbox container",
		Hidden: true,
		RunE: func(*cobra.Command, []string) error {
			return exitCode(sandbox.Main(os.Stdin, os.Stdout))
		},
	}
}
