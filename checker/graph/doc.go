// Package graph finds cycles in graphs of dependencies: in the dependency graphs of
// transactions (Adya, "Weak consistency", 1999), and in others of their kind.
//
// Start with [New], add edges with [Graph.Edge], call [Graph.Seal], and look for
// cycles with [Graph.Components] and [Graph.Cycle]. Where some edges are open,
// [Choices] finds which to take so that there is no cycle; [Order] keeps a graph in
// order while edges come and go.
package graph
