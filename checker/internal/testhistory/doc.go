// Package testhistory makes histories for the tests of checkers: written down by
// hand ([Parse], [ParseTxns]), or made up from a seed, with mistakes ([Generate],
// [MakeTxns], [FewTxns]). Only tests import it: it defines flags.
package testhistory
