// Package transactions finds the anomalies of transactions over lists or registers,
// and says which isolation level they exclude.
//
// Start with [Checker]. It infers from what the transactions read which of them must
// come before which, and looks for cycles (Adya, "Weak consistency", 1999; Kingsbury
// and Alvaro, "Elle", VLDB 2020). lists.go and registers.go infer, registers_*.go
// draw conclusions from several reads of registers together (Tan et al., "Cobra", OSDI
// 2020), cycles.go names what is found, and story.go tells it.
package transactions
