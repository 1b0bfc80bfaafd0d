package workloads

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"coup/checker/catalogue"
	"coup/checker/linearizable"
	"coup/checker/transactions"
	"coup/checker/weaker"
	"coup/harness"
)

// Level is a promise that a workload can be judged by.
type Level struct {
	Name string
	Doc  string // one line
	// Checkers judge it. bound is what a level has that measures: see [Workload.At].
	Checkers func(bound time.Duration) []harness.Checker
	// Bounded: it may have a bound.
	Bounded bool
}

// registerLevels are those of registers, as coup check has them for histories.
func registerLevels() (all []Level) {
	e, _ := catalogue.Find("register")
	names, docs := e.Consistencies()
	for i, name := range names {
		l := Level{Name: name, Doc: docs[i], Checkers: func(time.Duration) []harness.Checker {
			c, err := e.Checker(name, catalogue.Options{})
			if err != nil { // the name is one of its own
				panic(err)
			}
			return []harness.Checker{c}
		}}
		if name == (weaker.Staleness{}).Name() {
			l.Bounded = true
			l.Checkers = func(bound time.Duration) []harness.Checker {
				return []harness.Checker{weaker.Staleness{MaxTime: bound}}
			}
		}
		all = append(all, l)
	}
	return all
}

// transactionLevels are those of Elle.
func transactionLevels() (all []Level) {
	for _, i := range transactions.Levels() {
		all = append(all, Level{Name: string(i), Checkers: func(time.Duration) []harness.Checker {
			return []harness.Checker{transactions.Checker{Level: i}}
		}})
	}
	return all
}

// At is the workload judged by another promise: a level of consistency, by its name.
// "staleness=2s" is a level with a bound. Of several workloads, those that know the level
// are judged by it. "" changes nothing.
func (w Workload) At(consistency string) (Workload, error) {
	if consistency == "" {
		return w, nil
	}
	name, text, bounded := strings.Cut(consistency, "=")
	var bound time.Duration
	if bounded {
		var err error
		if bound, err = time.ParseDuration(text); err != nil || bound <= 0 {
			return w, fmt.Errorf("%q is not a bound such as 500ms or 2s", text)
		}
	}
	if w.parts == nil {
		i := slices.IndexFunc(w.Levels, func(l Level) bool { return l.Name == name })
		if i < 0 {
			return w, fmt.Errorf("it is not judged at the consistency %q, only at %s", name, strings.Join(w.levels(), ", "))
		}
		l := w.Levels[i]
		if bounded && !l.Bounded {
			return w, fmt.Errorf("the consistency %s has no bound", name)
		}
		w.Checkers = func() []harness.Checker { return l.Checkers(bound) }
		return w, nil
	}
	parts := slices.Clone(w.parts)
	var names []string
	known := false
	for i, p := range parts {
		names = append(names, p.levels()...)
		at, err := p.At(consistency)
		if err == nil {
			parts[i].Workload, known = at, true
		}
	}
	if !known {
		slices.Sort(names)
		return w, fmt.Errorf("none of them is judged at the consistency %q; there are %s", consistency, strings.Join(slices.Compact(names), ", "))
	}
	return mix(parts), nil
}

func (w Workload) levels() (names []string) {
	for _, l := range w.Levels {
		names = append(names, l.Name)
	}
	if names == nil {
		names = []string{linearizable.Checker{}.Name()}
	}
	return names
}

// Weaker are checkers that measure what reads that may be stale showed, and which weaker
// promises they kept. They worsen no verdict.
func (w Workload) Weaker() (all []harness.Checker) {
	if w.weaker != nil {
		return []harness.Checker{w.weaker}
	}
	for _, p := range w.parts {
		for _, c := range p.Weaker() {
			all = append(all, Part{p.name, c})
		}
	}
	return all
}
