package guest

import "encoding/binary"

// Module is the name that the machine's functions are imported under.
const Module = "coup"

// EventsPath is the file that a program reads events from. A read returns
// whole records, at most as many as fit; it fails with EAGAIN if there are none.
const EventsPath = "/dev/events"

// The kinds of events. Connections have ids: those that the program dials get
// even ones, chosen by it, those that it accepts odd ones, chosen by the machine.
const (
	Opened    byte = 1 + iota // the connection that was dialled is open
	Refused                   // the connection that was dialled is not; Data says why
	Accepted                  // a new connection; Data is the port that it came to, and the peer's name
	Data                      // bytes arrived
	EOF                       // the peer will send no more
	Reset                     // the connection is broken
	Synced                    // the fsync with this id is done; Data is empty, or the errno of WASI, one byte
	Terminate                 // the program is asked to end, as by SIGTERM
)

// Event is one record: a kind, an id and what belongs to them.
type Event struct {
	Kind byte
	ID   uint32
	Data []byte
}

// HeaderSize is what a record takes beside its data.
const HeaderSize = 9

// Append encodes e behind b.
func (e Event) Append(b []byte) []byte {
	b = append(b, e.Kind)
	b = binary.LittleEndian.AppendUint32(b, e.ID)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(e.Data)))
	return append(b, e.Data...)
}

// Next decodes the first record of b and returns what follows it. ok is false
// when b holds no whole record. The data is part of b.
func Next(b []byte) (e Event, rest []byte, ok bool) {
	if len(b) < HeaderSize {
		return e, b, false
	}
	size := int(binary.LittleEndian.Uint32(b[5:]))
	if size > len(b)-HeaderSize {
		return e, b, false
	}
	e = Event{Kind: b[0], ID: binary.LittleEndian.Uint32(b[1:]), Data: b[HeaderSize : HeaderSize+size : HeaderSize+size]}
	return e, b[HeaderSize+size:], true
}
