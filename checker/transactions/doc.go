// Package transactions finds the anomalies of transactions over lists or registers,
// and says which isolation level they exclude.
//
// Start with [Checker]; levels.go has the levels and what each excludes. The checker
// infers from what the transactions read which of them must come before which, and
// looks for cycles (Adya, "Weak consistency", 1999; Kingsbury and Alvaro, "Elle", VLDB
// 2020). lists.go and registers.go infer, cycles.go names what is found, and story.go
// tells it.
//
// Over registers it is open which of two writes came first. registers_*.go draw
// conclusions from several reads together (Tan et al., "Cobra", OSDI 2020). Where that
// is not enough, decide.go makes a polygraph: polygraph_saturate.go prunes what is
// open, polygraph_line.go guesses an order and replays it, [graph.Choices] mends it, and
// polygraph_prove.go tells why there is none.
package transactions
