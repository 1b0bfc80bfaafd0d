// Package online watches a history while the run goes on, so that a run can end at
// the first violation.
//
// Start with [NewMonitor] for single objects or [NewTransactionMonitor] for
// transactions, and pass each line of the history to Observe as it is recorded. What
// a monitor says is always true; that it says nothing proves nothing, so the checkers
// still judge the whole history afterwards. A monitor keeps what is open or still
// there, not the history, and is not safe for concurrent use.
package online
