// Package weaker judges registers whose reads may be old, by promises that are
// weaker than linearizability.
//
// Start with [Sequential] (one order of all operations that agrees with each
// process's own; Lamport 1979), [Sessions] (what each process sees of its own
// operations; Terry et al. 1994) or [Staleness] (how old the answers were). Each
// implements [harness.Checker], and needs values that are written once each.
package weaker
