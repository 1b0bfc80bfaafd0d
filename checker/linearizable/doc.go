// Package linearizable decides whether histories are linearizable: whether every
// operation can have taken effect at one moment between its invocation and its
// completion (Herlihy and Wing, "Linearizability", 1990).
//
// Start with [Checker], which judges a whole history, object by object, and makes a
// small counterexample where it finds a violation. [Decide] answers the bare question
// for one object.
//
// Each object is asked of several procedures in turn, called tiers, the cheap ones
// first (tier.go has the list; the documentation of package checker tells what each
// decides at what cost). The names of files show what they belong to:
//
//   - tier_*: one procedure each; passages_* is what those for queues, stacks
//     and priority queues share. What a tier calls valid is replayed by verify.go.
//   - counterexample_*: how a history that is not linearizable is cut down, and told.
//   - limit_*: bounds on time, memory and work.
package linearizable
