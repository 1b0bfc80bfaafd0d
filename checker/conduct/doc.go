// Package conduct judges how a run went, and what the nodes said of themselves,
// beside what clients saw.
//
// Start with any checker below. Each is a struct that implements [harness.Checker]; most
// need no settings. Files are named by what a checker looks at:
//
//   - The nodes: [OneLeader], [Terms], [Deposed] and [Steady] judge who led,
//     [Replicas] and [CatchUp] whether all nodes come to the same state, [Alive]
//     whether one ended by itself.
//   - The service: [Liveness] judges whether the system serves when nothing is
//     broken; [Availability], [Failovers] and [Partitions] only measure.
//   - The run: [Ran] judges whether the faults had an effect and clients got something
//     done, [Finished] whether the run came to its end.
//
// A checker's method Needs says what the nodes must tell for it. If they do not tell it,
// the checker does not judge.
//
// A run that tested nothing is unknown, never valid. All times in the details are
// nanoseconds since the start of the run, or durations in nanoseconds.
package conduct
