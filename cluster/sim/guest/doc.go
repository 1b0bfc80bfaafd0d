// Package guest gives a program on a simulated machine what it has in place of an
// operating system's sockets, fsync and signals. Start with Dial, Listen, Sync and
// Terminated. See package sim for the machine itself. Files, clocks and output are those
// of WASI, so that packages os and time work as usual.
//
// The machine tells what happened (a connection, data, a finished fsync) by
// records that the program reads from the file [EventsPath]; protocol.go says
// what they look like. Everything else is a call of a function that the
// machine imports into the program, and none of them waits.
package guest
