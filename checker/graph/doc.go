// Package graph finds cycles in graphs of dependencies: in the dependency graphs of
// transactions (Adya, "Weak consistency", 1999), and in others of their kind.
//
// Start with [New], add edges with [Graph.Edge], call [Graph.Seal], and look for
// cycles with [Graph.Components] and [Graph.Cycle].
package graph
