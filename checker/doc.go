// Package checker judges histories: whether a system kept its promises, and if
// not, on which few operations the proof rests.
//
// Start with [CheckAll], which lets several checkers judge a history and takes
// the worst verdict. The checkers are in packages below this one:
//
//   - linearizable: Checker judges the strictest promise. It needs a model of
//     the object, e.g. model.Register().
//   - elements: Set, Queue and Counter judge element by element, and say what
//     became of each.
//   - invariants: Bank, LongFork, SetFull, TotalQueue, UniqueIDs, Log and Jobs judge what
//     answers must show whatever the order was, as Jepsen's checkers do.
//   - weaker: Sequential, Sessions and Staleness judge reads that may be old.
//   - transactions: Checker finds the anomalies of transactions, at every level
//     from read-uncommitted to strict-serializable. Every anomaly that it finds is
//     real, and of lists its verdict is exact; of registers it mostly is.
//   - conduct: Liveness judges whether the system serves when nothing is broken,
//     Replicas, OneLeader and others what the nodes said of themselves, Ran
//     whether the run tested anything. Availability and Failovers only measure.
//   - online: Monitor watches objects while the run goes on, TransactionMonitor
//     transactions.
//
// catalogue lists the models that a history can be of, each with its meaning and its
// checkers. They build on model (what objects do), story (sentences and words), clusters
// (operations by value) and graph (cycles of dependencies). histories
// reads the histories of other tools. Imports point down only:
//
//	conduct  online  histories
//	         catalogue
//	         linearizable  weaker  transactions
//	         elements  invariants  clusters  graph
//	         story
//	         model
//	         harness, harness/timeline
//
// # Who decides what, at what cost
//
// Linearizability is NP-complete in general (Gibbons and Korach 1997). What
// makes real histories hard are operations whose outcome nobody knows: they
// stay open forever, and a search must try each at every later moment. So
// linearizable.Checker asks procedures for special cases first, called tiers. Each
// is exact, open operations included; none gives up a verdict for speed. n is the
// number of operations on a key, c the number under way at once.
//
//   - zones: registers with read, write and compare-and-set whose values are
//     written once each, if failed compare-and-sets tell what they saw.
//     O(n log n). After Gibbons and Korach, "Testing shared memories", SIAM J.
//     Comput. 1997, with chains of compare-and-sets as blocks.
//   - fifo: queues whose elements are enqueued once each, dequeues of an empty
//     queue and open dequeues included. O(n log n). After Henzinger, Sezgin and
//     Vafeiadis, "Aspect-oriented linearizability proofs", CONCUR 2013.
//   - lifo: stacks whose elements are pushed once each. O(n c log n). After Lee
//     and Mathur, "Efficient decrease-and-conquer linearizability monitoring",
//     OOPSLA 2025. If open pops may have taken what was left over, it decides
//     what it can, and passes the rest on.
//   - priority: priority queues in the same way. O(n log n).
//   - turns: mutexes that do not know their holder. O(n log n).
//   - holds: locks that know their holder, with leases and fencing tokens, if all
//     grants have tokens or none has. O(n log n). As zones; leases after Gray and
//     Cheriton, "Leases", SOSP 1989.
//   - inclusion: sets that grow and are read as a whole. Linear in what the
//     reads show, but for sorting.
//   - prefix: lists that are appended to and read as a whole, elements once each.
//     Linear in what the reads show, but for sorting.
//   - appends: strings that are read, set and appended to, if what was read tells
//     what was written. Linear in what was read, but for sorting. As zones.
//   - bounds: counters that show too little or too much. O(n log n).
//   - just-in-time: any model. Linear in n, exponential in c where the answers
//     leave a choice; blind writes and reads leave little: ten thousand
//     operations of fifty clients on a register whose values repeat are mostly
//     decided within seconds. After Lowe, "Testing for linearizability", CCPE 2017.
//   - search: porcupine, which tries any order depth first (Wing and Gong 1993,
//     Lowe 2017). The last resort, and the reference that all others are tested
//     against.
//
// The comment of each tells why it is right. A history that is called valid
// comes with an order of its operations, which is replayed before it is
// believed; one that is called invalid with a few operations that cannot be
// explained by themselves, which porcupine has to confirm. Bounds on time and
// memory are kept; what was not decided within them is unknown, never valid.
//
// online.Monitor does the work of zones line by line, and less for other objects.
// transactions.Checker infers the order of transactions from what they read, in
// linear time (Adya, "Weak consistency", 1999; Kingsbury and Alvaro, "Elle", VLDB
// 2020); of registers it then draws all conclusions that follow from single reads
// (Tan et al., "Cobra", OSDI 2020), which the order of time makes near linear, and
// looks for an order by a polygraph and a SAT solver where that is not enough.
// weaker.Sessions follows Terry et al. 1994.
package checker
