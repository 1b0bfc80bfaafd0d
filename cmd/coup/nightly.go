package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"coup/nightly"
)

func newNightly(soft context.Context) *cobra.Command {
	var (
		shard string
		o     nightly.Options
	)
	cmd := &cobra.Command{
		Use:   "nightly FILE...",
		Short: "Run many plans, night after night, and tell what is new",
		Long: `Run all cells of a file: plans, with what each is expected to show. Simulated runs use
all processors; runs in containers go beside them, one at a time. A failure that nobody
knows is looked at closely: on simulated machines it is replayed, shrunk and traced, in
containers it is run again.

The folder of the nights (--out) gets one folder for each night, with a page
(index.html), status.json, night.json, junit.xml, summary.md, and the runs that failed. A night
that was interrupted or killed goes on when the same command is given again.
Several files are as one that includes them all.

Chapter 11 of the documents tells of the file, the classes and what is kept.

Exit codes: 0 nothing is new and enough was run, 1 something is new (a failure, a
contrast that is gone, a known failure that needs a look), 2 it proves too little, 254 wrong usage or a file that can't be read, 255 nothing is
new, but cells could not be run, or coup itself failed.`,
		Example: `  coup nightly nights/coup.yaml
  coup nightly --shard 2/4 nights/coup.yaml
  coup nightly nights/etcd.yaml nights/redis.yaml`,
		Args: usageArgs(cobra.MinimumNArgs(1)),
	}
	f := cmd.Flags()
	f.StringVar(&o.Out, "out", "", "the folder of the nights; if not given, runs/nights/NAME of the file")
	f.StringVar(&shard, "shard", "", "run only this part of the cells, e.g. 2/4")
	f.IntVar(&o.Workers, "workers", runtime.NumCPU(), "simulated runs at a time")
	f.BoolVar(&o.Fresh, "fresh", false, "begin a new night, also if the last one was not finished")
	cmd.RunE = func(cmd *cobra.Command, files []string) error {
		if n, err := fmt.Sscanf(shard+" ", "%d/%d ", &o.Shard, &o.Shards); shard != "" && (n != 2 || err != nil || o.Shard < 1 || o.Shard > o.Shards || o.Shards > 1000) {
			return usageError{fmt.Errorf("a shard is given as 2/4, not %q", shard)}
		}
		if o.Workers < 1 {
			return usageError{fmt.Errorf("workers must be 1 or more, not %d", o.Workers)}
		}
		if o.Out == "" {
			spec, err := nightly.Read("", files...)
			if err != nil {
				return usageError{err}
			}
			o.Out = filepath.Join("runs", "nights", spec.Name)
		}
		r, err := runNight(cmd.Context(), soft, files, o)
		return endNight(cmd.OutOrStdout(), o.Out, r, err)
	}
	cmd.AddCommand(newMerge())
	return cmd
}

func newMerge() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "merge DIR...",
		Short: "Make one night of its shards",
		Long: `Make one night of several that ran a shard each, on any machines. Each DIR is the folder of
a night, or holds one. The merged night goes into --out, beside the nights before.
A shard that is lacking is told, and then the night is not green.

Exit codes: those of coup nightly.`,
		Example: `  coup nightly merge --out nights shard-1 shard-2 shard-3`,
		Args:    usageArgs(cobra.MinimumNArgs(1)),
	}
	cmd.Flags().StringVar(&out, "out", filepath.Join("runs", "nights", "merged"), "the folder of the nights")
	cmd.RunE = func(cmd *cobra.Command, dirs []string) error {
		r, err := nightly.Merge(dirs, out)
		return endNight(cmd.OutOrStdout(), out, r, err)
	}
	return cmd
}

// build names what this coup was built from, and the program itself: a night goes on only with the same.
func build() string {
	said := strings.Split(strings.TrimSpace(version()), "\n")
	said = said[:min(3, len(said))]
	if self, err := os.Executable(); err == nil {
		if b, err := os.ReadFile(self); err == nil {
			said = append(said, fmt.Sprintf("program %.12x", sha256.Sum256(b)))
		}
	}
	return strings.Join(said, ", ")
}

// endNight shows a night and ends with its exit code.
func endNight(w io.Writer, out string, r nightly.Report, err error) error {
	var input *nightly.InputError
	if errors.As(err, &input) {
		return usageError{err}
	}
	if r.ID != "" {
		printNight(w, filepath.Join(out, r.ID), r)
	}
	if err == nil && r.Status.Code != nightly.CodeGreen {
		err = exitCode(r.Status.Code)
	}
	return err
}

// printNight shows a night as a table, and why it ends as it does.
func printNight(w io.Writer, dir string, r nightly.Report) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "cell\texpected\tverdict\tclass\truns\tacknowledged\tfailovers\tmedian\tworst\tlongest outage")
	for _, row := range r.Table() {
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	table.Flush()
	for _, why := range r.Status.Why {
		fmt.Fprintf(w, "%s\n", why)
	}
	fmt.Fprintf(w, "%s\npage: %s\n", r.Status.Sentence, filepath.Join(dir, nightly.PageFile))
}

// tail keeps the end of what is written to it. Safe for concurrent use.
type tail struct {
	mu  sync.Mutex
	end []byte
}

func (t *tail) Write(b []byte) (int, error) {
	const most = 64 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end = append(t.end, b...)
	if n := len(t.end); n > most {
		t.end = append([]byte(nil), t.end[n-most/2:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.end)
}
