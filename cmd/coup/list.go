package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"coup/cluster"
	"coup/cluster/systems"
	"coup/nemesis"
	"coup/workloads"
)

func newList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "Show systems, workloads, faults with their targets, and planted bugs",
		Example: `  coup list`,
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return list(cmd.OutOrStdout())
		},
	}
}

func list(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "Systems:")
	for _, name := range systems.Names() {
		sys, err := systems.Find(name)
		if err != nil {
			return err
		}
		can := "only a cluster that runs tells what it can do"
		if all, err := workloads.Supported(sys, cluster.Options{}); err == nil {
			can = strings.Join(all, ", ")
		}
		fmt.Fprintf(w, "  %s\tworkloads: %s\n", name, can)
		if loses := cluster.LosesOf(sys, cluster.Options{}); loses != "" {
			fmt.Fprintf(w, "  \t  %s\n", loses)
		}
	}
	fmt.Fprintln(w, "\nWorkloads:")
	for _, name := range workloads.Names() {
		fmt.Fprintf(w, "  %s\t%s\n", name, workloads.All[name].Doc)
	}
	fmt.Fprintln(w, "\nFaults (aimed as fault:target):")
	for _, name := range nemesis.FaultNames() {
		f := nemesis.Faults[name]
		fmt.Fprintf(w, "  %s\t%s\n  \t  at %s\n", name, f.Doc, strings.Join(f.Targets, ", "))
	}
	for _, name := range systems.Names() {
		sys, err := systems.Find(name)
		if err != nil {
			return err
		}
		bugs := cluster.BugsOf(sys)
		if len(bugs) > 0 {
			fmt.Fprintf(w, "\nPlanted bugs of %s (--bug):\n", name)
		}
		for _, b := range bugs {
			fmt.Fprintf(w, "  %s\t%s\n  \t  shown by --workload %s --nemesis %s%s\n", b.Name, b.Doc, b.Workload, strings.Join(b.Nemesis, ","), set(b.Settings))
		}
	}
	return w.Flush()
}

// set is the flag for settings.
func set(settings map[string]string) (flag string) {
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		flag += fmt.Sprintf(" --set %s=%s", name, settings[name])
	}
	return flag
}
