// Package invariants judges what answers must show whatever the order of the
// operations was: that a bank loses no money, that ids are unique, that of a log
// nothing is lost or read in another order. Its checkers mean what those of Jepsen
// mean that have these names. [Jobs] is coup's own: a job that was handed over is run.
//
// Start with [Bank], [LongFork], [SetFull], [TotalQueue], [UniqueIDs], [Log] or [Jobs]; each
// implements [harness.Checker] and takes O(n log n). They see less than a model of the
// object does, at any size. Their Details are [Details].
package invariants
