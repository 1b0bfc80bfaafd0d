// Package online watches a history while the run goes on, so that a run can end at
// the first violation.
//
// Start with [NewMonitor] for single objects or [NewTransactionMonitor] for
// transactions, and pass each line of the history to Observe as it is recorded. Every
// violation that a monitor reports is real. But it does not see all violations, so the
// checkers still judge the whole history afterwards. A monitor does not keep the history,
// only operations that are open and elements that are still there. It is not safe for
// concurrent use.
package online
