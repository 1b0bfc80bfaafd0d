// Command coup breaks replicated systems and proves from the recorded history
// whether any client saw what no correct system could have shown.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"coup/harness"
)

// The exit codes, as in Jepsen: a nightly job can tell a broken promise from a
// broken test.
const (
	exitValid   = 0
	exitInvalid = 1
	exitUnknown = 2
	exitUsage   = 254
	exitHarness = 255
)

// usageError is what the user can put right by another command line or plan.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// exitCode ends the program with a code that is not that of an error.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

func codeOf(v harness.Validity) error {
	switch v {
	case harness.Valid:
		return nil
	case harness.Invalid:
		return exitCode(exitInvalid)
	default:
		return exitCode(exitUnknown)
	}
}

func main() {
	if isInner(os.Args[1:]) {
		supervisedBy().exit(realMain(os.Args[1:]))
	}
	me := supervisedBy()
	if !me.supervised() {
		if code, ok := supervise(); ok {
			os.Exit(code)
		}
	}
	me.exit(checkedMain(os.Args[1:]))
}

// checkedMain is realMain, which must be able to write what it says: otherwise nothing is
// claimed, but a violation is one all the same.
func checkedMain(args []string) int {
	flush := watchStdout()
	code := realMain(args)
	if err := flush(); err != nil {
		fmt.Fprintf(os.Stderr, "coup: %v\n", err)
		if code != exitInvalid {
			return exitHarness
		}
	}
	return code
}

// told is what an error says, each line once: several parts of a run may fail for one reason.
func told(err error) string {
	var lines []string
	for line := range strings.Lines(err.Error()) {
		line = strings.TrimRight(line, "\n")
		if !slices.ContainsFunc(lines, func(before string) bool { return strings.HasSuffix(before, line) }) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// isInner reports whether a command line is one that coup itself starts: in containers,
// where its process must be the first one, or as a worker.
func isInner(args []string) bool {
	if len(args) == 0 {
		return false
	}
	for _, cmd := range newRoot(context.Background()).Commands() {
		if cmd.Hidden && cmd.Name() == args[0] {
			return true
		}
	}
	return false
}

func realMain(args []string) int {
	// soft ends with the first signal, hard with the second.
	soft, cancelSoft := context.WithCancel(context.Background())
	hard, cancelHard := context.WithCancel(context.Background())
	defer cancelSoft()
	defer cancelHard()

	root := newRoot(soft)
	root.PersistentPreRun = func(cmd *cobra.Command, _ []string) {
		if !cmd.Hidden { // what runs in containers has signals of its own to mind
			go interrupt(whatEnds(cmd), cancelSoft, cancelHard)
		}
	}
	root.SetArgs(args)
	err := root.ExecuteContext(hard)
	var code exitCode
	var usage usageError
	switch {
	case err == nil:
		return exitValid
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "coup: %v\n", told(err))
		return exitUsage
	default:
		fmt.Fprintf(os.Stderr, "coup: %v\n", told(err))
		return exitHarness
	}
}

// whatEnds says what a command does when it is interrupted.
func whatEnds(cmd *cobra.Command) string {
	if cmd.Name() == "client-check" {
		return "ending what was started"
	}
	return "healing, gathering and judging what there is"
}

func interrupt(ending string, first, second func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	<-signals
	fmt.Fprintln(os.Stderr, "\ninterrupted: "+ending+" (again to stop at once)")
	first()
	// A terminal interrupts the process that waits for this one as well, which passes it on.
	for same := time.Now().Add(sameSignal); time.Now().Before(same); {
		select {
		case <-signals:
		case <-time.After(time.Until(same)):
		}
	}
	<-signals
	fmt.Fprintln(os.Stderr, "\ninterrupted again: removing what was started")
	second()
}

// sameSignal is how long after a signal another one is taken for the same.
const sameSignal = 100 * time.Millisecond

func newRoot(soft context.Context) *cobra.Command {
	root := &cobra.Command{
		Use:   "coup",
		Short: "Kill leaders, and prove whether the system kept its promise",
		Long: `coup tests replicated systems by killing their leaders. It runs a cluster, lets
clients work, kills nodes and cuts the network, and proves from the recorded history
whether any client got an answer that no correct system could have given.

Exit codes: 0 valid, 1 a violation was found, 2 unknown (the run proves nothing
either way), 254 wrong usage, 255 coup itself or its environment failed.`,
		Example: `  coup run --time 30s --nemesis kill:leader,partition:leader
  coup check runs/latest
  coup list`,
		SilenceUsage: true, SilenceErrors: true,
		Args: usageArgs(cobra.NoArgs),
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	showVersion := root.Flags().Bool("version", false, "tell what this coup was built from")
	root.RunE = func(cmd *cobra.Command, _ []string) error {
		if *showVersion {
			_, err := io.WriteString(cmd.OutOrStdout(), version())
			return err
		}
		return cmd.Help()
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w (see %s --help)", inWords(err), cmd.CommandPath())}
	})
	root.AddCommand(newRun(soft), newWall(soft), newCheck(), newReport(), newList(), newGC(), newImage(), newNode(), newSandbox(), newStuck(), newReplay(soft), newHunt(soft), newShrink(soft), newHuntWorker(soft), newClientCheck(soft), newInit(), newNightly(soft), newBugs(soft), newServe(soft), newCompare(soft), newLoad(soft))
	return root
}

// inWords says of a flag's value that is no number what the flag takes, instead of what
// the parser says. Flags of coup's own types have words of their own.
func inWords(err error) error {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return err
	}
	want := map[string]string{
		"int": "a whole number", "int64": "a whole number", "uint": "a whole number, 0 or more", "uint64": "a whole number, 0 or more",
		"float64": "a number", "bool": "true or false",
	}[invalid.GetFlag().Value.Type()]
	if want == "" {
		return fmt.Errorf("--%s: %w", invalid.GetFlag().Name, invalid.Unwrap())
	}
	return fmt.Errorf("--%s is %s, not %q", invalid.GetFlag().Name, want, invalid.GetValue())
}

// usageArgs makes what an argument check complains of wrong usage.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{fmt.Errorf("%w (see %s --help)", inWords(err), cmd.CommandPath())}
		}
		return nil
	}
}
