package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"coup/cluster/docker"
)

func newGC() *cobra.Command {
	return &cobra.Command{
		Use:   "gc",
		Short: "Remove what dead runs left on the Docker engine",
		Long: `Remove the containers, networks and volumes of runs whose process has ended. If no
run is alive, also remove the images of coup's own binary. Every run does the same
before it starts, but keeps the newest images. Runs that are alive stay, and so does
everything that is not coup's.`,
		Example: `  coup gc`,
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := docker.Connect(cmd.Context())
			if err != nil {
				return err
			}
			defer e.Close()
			removed, err := e.Collect(cmd.Context(), true)
			fmt.Fprintf(cmd.OutOrStdout(), "removed %s\n", removed)
			return err
		},
	}
}
