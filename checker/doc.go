// Package checker judges histories: whether a system kept its promises, and if
// not, on which few operations the proof rests.
//
// Start with [CheckAll], which lets several checkers judge a history and takes
// the worst verdict. [Linearizable] is the strictest promise; it needs a
// [Model] of the object, e.g. [RegisterModel]. [Set], [Queue] and [Counter]
// judge element by element and say what became of each. [Replicas] and
// [OneLeader] judge what the nodes said of themselves, [Ran] whether the run
// tested anything, and [Availability] and [Failovers] only measure.
package checker
