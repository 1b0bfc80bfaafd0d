// Package harness holds the words of coup (operations, processes, histories, verdicts)
// and the loop that runs a test. Start with [Run].
//
// A test is a [Generator] that says which operations are wanted, a [Client]
// per process that performs them, and a [Recorder] that writes down what
// happened; [Run] brings them together. What was recorded is a history: a
// [Checker] judges it afterwards, from the file.
//
// Time and concurrency come from a [Runtime], so that the same test runs
// against a real cluster by the machine's clock and inside a simulator by a
// clock of its own. The package imports nothing else of coup.
package harness
