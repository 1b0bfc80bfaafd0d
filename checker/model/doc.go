// Package model says what single objects do: registers, sets, queues, locks and
// the like, when their operations happen one at a time.
//
// Start with a function such as [Register], which returns a [Model]: what the
// object is at first, what each operation does to it, and how a stored history
// gives the values of its operations their Go types back. A workload may bring a
// Model of its own; Init and Step are all that it needs.
//
// The values of operations are here, too: [Maybe], [CAS], [Grant], [Txn]. And
// what every checker does with a history before it judges it: check the types
// of its values ([Model.CheckTypes]), and take it apart by object
// ([Model.Partition], [ByKey]).
//
// Everything here is a value or a pure function, and safe for concurrent use.
package model
