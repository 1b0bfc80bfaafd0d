// Package nightly runs many plans, night after night, and says what is new. Start with [Read] and [Night.Run].
//
// The way that data takes:
//
//   - [File] is a night as people write it. [Read] makes it a list of cells: [Cell] is one
//     plan, with what it is expected to show, and the seeds that it is run with.
//   - Each run of a cell is a process of its own, coup run, so that one that fails ends nothing
//     else. What it left becomes a [Record], a file that is written whole or not at all. A
//     night that was killed goes on with the runs that have no record.
//   - A failure that nobody knows is looked at at once: [Triage].
//   - The records of a cell, what is expected of it, and the known failures ([Known])
//     give an [Outcome], which has a [Class].
//   - The outcomes of all cells, and the nights before, give a [Report]: the sentence,
//     the exit code, and why. It is rendered as pages and files, and again after each run.
package nightly
