// Package clusters groups the operations on one register by value: what wrote
// the value, and who saw it. Checkers that look for an order of operations put
// clusters in order instead, of which there are far fewer (Gibbons and Korach,
// "Testing shared memories", SIAM J. Comput. 1997).
//
// Start with [Gather], then [Clusters.Settle], which finds out which operations of
// unknown outcome took effect, then [Clusters.Chain]. None of it is safe for
// concurrent use with the same Clusters.
package clusters
