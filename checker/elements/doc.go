// Package elements judges sets, queues and counters element by element, and says
// what became of each: lost, duplicated, out of order, out of nowhere.
//
// Start with [Set], [Queue] or [Counter]; each implements [harness.Checker] and
// takes O(n log n). What they call wrong is a violation of linearizability; not
// every violation shows in single elements, so let checker/linearizable judge the
// same history, too.
package elements
