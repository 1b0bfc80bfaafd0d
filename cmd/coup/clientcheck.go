package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"

	"coup/cluster"
	"coup/cluster/clientcheck"
	"coup/cluster/systems/own/line"
	"coup/harness"
	"coup/plan"
	"coup/runner"
	"coup/workloads"
)

func newClientCheck(soft context.Context) *cobra.Command {
	var (
		file, address, workload string
		p                       = plan.Default()
		up                      bool
		timeout                 time.Duration
		out                     string
	)
	cmd := &cobra.Command{
		Use:   "client-check [COMMAND]",
		Short: "Tell what a client program does wrong",
		Long: `Drive a client program of your own (see coup run --client) against addresses that
misbehave: nothing listens there, requests are never answered, connections are reset.
Each mistake is told in one line, and so is each answer that may be one ("can't tell"). No container is started, unless --up is given.

The client is told the nodes of --compose, or of the compose file of --plan. With --address,
it is also driven against a node that works; with --up, against the system of the compose file,
which is started and not broken.

Exit codes: 0 no mistake was found, 1 mistakes were found, 254 wrong usage, 255 coup
itself or its environment failed.`,
		Example: `  coup client-check --plan plan.yaml
  coup client-check --compose compose.yaml 'python3 client.py'
  coup client-check --workload set --address 127.0.0.1:6379 'python3 client.py'`,
		Args: usageArgs(cobra.MaximumNArgs(1)),
	}
	f := cmd.Flags()
	f.StringVar(&file, "plan", "", "take the compose file, the client and the workload from this plan")
	f.StringVar(&p.Compose, "compose", "", "the compose `FILE` whose nodes the client is told of")
	f.StringVar(&workload, "workload", "", "what the client is asked for (see coup list); empty: as the plan says, or register")
	f.StringVar(&address, "address", "", "the `HOST:PORT` of a node that works, to drive the client against as well")
	f.BoolVar(&up, "up", false, "start the system of the compose file as well, and run the client there for some seconds without faults")
	f.DurationVar(&timeout, "timeout", time.Second, "how long the client may take for an operation")
	f.StringVar(&out, "out", "runs", "with --up: make the run directory in this folder")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if file != "" {
			compose := p.Compose
			if err := p.ReadPlan(file); err != nil {
				return usageError{err}
			}
			if compose != "" {
				p.Compose, p.Own = compose, nil
			}
		}
		if workload != "" {
			p.Workload, p.Operations = workload, nil
		}
		if len(args) > 0 {
			p.Client, p.Dir = args[0], ""
		}
		if p.Client == "" {
			return usageError{errors.New("which client? coup client-check --compose compose.yaml 'python3 client.py', or --plan plan.yaml")}
		}
		o := clientcheck.Options{Command: line.Command{Line: p.Client, Dir: p.Dir}, Timeout: timeout}
		var err error
		if o.Workload, err = workloads.Find(p.Workload); err != nil {
			return usageError{err}
		}
		if o.Nodes, err = nodesOf(&p); err != nil {
			return usageError{err}
		}
		if up && (p.Compose == "" && p.Own == nil) {
			return usageError{errors.New("--up starts the system of a compose file: give --compose or --plan as well")}
		}
		if address != "" {
			if _, _, err := net.SplitHostPort(address); err != nil {
				return usageError{fmt.Errorf("an address is HOST:PORT: %w", err)}
			}
			o.Works = true
			for i := range o.Nodes {
				for j := range o.Nodes[i].Ports {
					o.Nodes[i].Ports[j].Address = address
				}
			}
		}
		if err := o.Command.Check(); err != nil {
			return usageError{err}
		}
		say := func(what string) { fmt.Fprintln(cmd.OutOrStdout(), "checked: "+what) }
		found, err := clientcheck.Run(soft, o, say)
		mistakes := found.Mistakes
		if err == nil && up && len(mistakes) == 0 {
			mistakes, err = checkUp(cmd.Context(), soft, p, out, cmd.ErrOrStderr())
		}
		for _, u := range found.Undecided {
			fmt.Fprintln(cmd.OutOrStdout(), "can't tell: "+u)
		}
		for _, m := range mistakes {
			fmt.Fprintln(cmd.OutOrStdout(), "mistake: "+m)
		}
		switch {
		case errors.Is(err, context.Canceled):
			return errors.New("interrupted before everything was checked")
		case err != nil:
			return err
		case len(mistakes) > 0:
			return exitCode(exitInvalid)
		case len(found.Undecided) > 0:
			fmt.Fprintln(cmd.OutOrStdout(), "no mistake is certain")
			return nil
		}
		fmt.Fprintln(cmd.OutOrStdout(), "no mistake was found")
		return nil
	}
	return cmd
}

// nodesOf are the nodes of the plan's compose file, with no addresses; none if it has no file.
func nodesOf(p *plan.Plan) (all []clientcheck.Node, err error) {
	if p.Compose == "" && p.Own == nil {
		return []clientcheck.Node{{Name: "n1", Ports: []clientcheck.Port{{Number: "1"}}}}, nil
	}
	if err := p.Resolve(); err != nil {
		return nil, err
	}
	sys, err := p.FindSystem()
	if err != nil {
		return nil, err
	}
	nodes := cluster.NodesOf(sys, p.Nodes, p.Options())
	for _, n := range nodes {
		one := clientcheck.Node{Name: n.Name}
		for _, port := range sys.Pod(n, nodes, p.Options()).Ports {
			if !port.Peers {
				one.Ports = append(one.Ports, clientcheck.Port{Number: port.Name})
			}
		}
		if len(one.Ports) > 0 {
			all = append(all, one)
		}
	}
	return all, nil
}

// upTime is how long the client works with a system that is not broken.
const upTime = 5 * time.Second

// checkUp runs the client's system without faults, and returns what is wrong with what the
// client answers.
func checkUp(ctx, soft context.Context, p plan.Plan, out string, log io.Writer) (mistakes []string, err error) {
	p.Nemesis, p.Schedule, p.Operations, p.Time, p.Concurrency, p.Rate, p.Promises = nil, nil, nil, plan.Duration(upTime), 2, 20, nil
	p.Seed = max(1, p.Seed)
	if err := p.Resolve(); err != nil {
		return nil, usageError{err}
	}
	fmt.Fprintf(log, "starting the %d nodes of %s\n", p.Nodes, p.System)
	ui := newUI(os.Stderr)
	_, verdict, err := runner.Run(ctx, soft, p, runner.Options{Out: out, Progress: ui.progress, Log: ui.log})
	ui.done()
	if errors.Is(err, harness.ErrBroken) {
		return []string{err.Error()}, nil
	}
	if err != nil {
		return nil, err
	}
	if soft.Err() != nil && verdict.Valid != harness.Invalid {
		return nil, soft.Err()
	}
	if verdict.Valid != harness.Valid {
		return []string{"with the system up, and nothing broken: " + verdict.Sentence()}, nil
	}
	return nil, nil
}
