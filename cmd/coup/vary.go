package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"coup/plan"
	"coup/results"
	"coup/results/report"
	"coup/runner"
)

// variation is a plan that differs from another one in some words.
type variation struct {
	name string // as it was given; "as it is" for the plan itself
	plan plan.Plan
}

// asItIs is the name of the plan that the others differ from.
const asItIs = "as it is"

// variations are the plan itself and then each that --vary names: flags of coup run and
// their values, such as "reads=lease" or "set=batch=1 concurrency=50". Settings are added to those of
// the plan.
func variations(p plan.Plan, words []string) ([]variation, error) {
	all := []variation{{asItIs, p}}
	for _, text := range words {
		v := variation{text, p}
		v.plan.Settings = maps.Clone(p.Settings)
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		planFlags(flags, &v.plan)
		if len(strings.Fields(text)) == 0 {
			return nil, fmt.Errorf("--vary needs a flag of coup run and its value, e.g. reads=lease")
		}
		for _, word := range strings.Fields(text) {
			name, value, ok := strings.Cut(word, "=")
			if name == "set" {
				setting, to, ok := strings.Cut(value, "=")
				if !ok {
					return nil, fmt.Errorf("--vary %q: a setting is written set=NAME=VALUE", text)
				}
				if v.plan.Settings == nil {
					v.plan.Settings = map[string]string{}
				}
				v.plan.Settings[setting] = to
				continue
			}
			if flags.Lookup(name) == nil || !ok {
				return nil, fmt.Errorf("--vary %q: %q is no flag of coup run with its value, such as reads=lease", text, word)
			}
			if err := flags.Set(name, value); err != nil {
				return nil, fmt.Errorf("--vary %q: %w", text, err)
			}
		}
		if flags.Changed("nemesis") || flags.Changed("interval") || flags.Changed("seed") || flags.Changed("time") {
			v.plan.Schedule = nil
		}
		all = append(all, v)
	}
	for i := range all {
		if err := all[i].plan.Resolve(); err != nil {
			return nil, fmt.Errorf("%s: %w", all[i].name, err)
		}
	}
	return all, nil
}

// runAll runs each variation, one after the other, and returns their directories. What is
// lacking because of an interruption is told as an error.
func runAll(ctx, soft context.Context, all []variation, o runner.Options) (dirs []string, err error) {
	for i, v := range all {
		ui := newUI(os.Stderr)
		o.Progress, o.Log, o.Stuck = ui.progress, ui.log, becomeStuck
		here := o
		here.Out = filepath.Join(o.Out, report.Letter(i)) // where another comparison's page finds its own, too
		dir, verdict, err := runner.Run(ctx, soft, v.plan, here)
		ui.done()
		if err != nil {
			return dirs, fmt.Errorf("%s: %w", v.name, err)
		}
		if soft.Err() != nil {
			return dirs, fmt.Errorf("interrupted in run %d of %d", i+1, len(all))
		}
		fmt.Fprintf(os.Stderr, "%d of %d, %s: %s\n", i+1, len(all), v.name, verdict.Sentence())
		if link := filepath.Join(here.Out, results.Latest); isThere(link) {
			dir = link // its name is the same each time
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
}
