// Package clusters groups the operations on one register by value: a cluster is the
// operation that wrote a value, and the operations that saw it. Checkers that look for an
// order of operations order clusters instead, because there are far fewer of them
// (Gibbons and Korach, "Testing shared memories", SIAM J. Comput. 1997).
//
// Start with [Gather], then [Clusters.Settle], which finds out which operations of
// unknown outcome took effect, then [Clusters.Chain]. Clusters are not safe for
// concurrent use.
package clusters
