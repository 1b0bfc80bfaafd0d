package capture

import (
	"encoding/binary"
	"net/netip"
)

// The blocks and options of pcapng that are written.
const (
	sectionBlock   = 0x0A0D0D0A
	interfaceBlock = 1
	namesBlock     = 4
	statsBlock     = 5
	packetBlock    = 6

	optComment     = 1
	optFlags       = 2 // of a packet
	optName        = 2 // of an interface
	optDescription = 3
	optApplication = 4 // of a section
	optResolution  = 9 // of an interface's times
	optReceived    = 4 // of statistics
	optDropped     = 5

	recordIPv4 = 1

	ethernet = 1
	// SnapLength is how much of a packet is kept; offloading makes them up to 64 KiB long.
	SnapLength = 256 << 10
)

var order = binary.LittleEndian

// Direction is which way a packet went.
type Direction uint32

// The directions, as in the flags of a packet.
const (
	Unknown  Direction = 0
	Inbound  Direction = 1
	Outbound Direction = 2
)

// Packet is a packet that passed an interface.
type Packet struct {
	Time      int64 // nanoseconds since 1970
	Interface int
	Direction Direction
	Data      []byte // from the Ethernet header on
	Length    int    // as it was, if Data is not all of it; 0: as Data
	Comment   string // what is known of it beside; ""
}

// appendBlock appends a block whose body fill appends.
func appendBlock(b []byte, kind uint32, fill func([]byte) []byte) []byte {
	start := len(b)
	b = order.AppendUint32(b, kind)
	b = order.AppendUint32(b, 0)
	b = pad(fill(b), start)
	n := uint32(len(b) - start + 4)
	order.PutUint32(b[start+4:], n)
	return order.AppendUint32(b, n)
}

// pad appends zeros up to a multiple of four bytes from start on.
func pad(b []byte, start int) []byte {
	for (len(b)-start)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// longestOption bounds a text, whose length has 16 bits.
const longestOption = 4096

func appendOption(b []byte, code uint16, value []byte) []byte {
	value = value[:min(len(value), longestOption)]
	start := len(b)
	b = order.AppendUint16(b, code)
	b = order.AppendUint16(b, uint16(len(value)))
	return pad(append(b, value...), start)
}

func appendText(b []byte, code uint16, text string) []byte {
	if text == "" {
		return b
	}
	return appendOption(b, code, []byte(text))
}

// endOptions ends a list of options.
func endOptions(b []byte) []byte { return append(b, 0, 0, 0, 0) }

func appendSection(b []byte, application, comment string) []byte {
	return appendBlock(b, sectionBlock, func(b []byte) []byte {
		b = order.AppendUint32(b, 0x1A2B3C4D)
		b = order.AppendUint16(b, 1)
		b = order.AppendUint16(b, 0)
		b = order.AppendUint64(b, ^uint64(0)) // the length is not told
		b = appendText(b, optComment, comment)
		return endOptions(appendText(b, optApplication, application))
	})
}

func appendInterface(b []byte, name, description string) []byte {
	return appendBlock(b, interfaceBlock, func(b []byte) []byte {
		b = order.AppendUint16(b, ethernet)
		b = order.AppendUint16(b, 0)
		b = order.AppendUint32(b, SnapLength)
		b = appendText(b, optName, name)
		b = appendText(b, optDescription, description)
		return endOptions(appendOption(b, optResolution, []byte{9})) // nanoseconds
	})
}

// Name is what an address is called.
type Name struct {
	Address netip.Addr // IPv4
	Name    string
}

func appendNames(b []byte, names []Name) []byte {
	return appendBlock(b, namesBlock, func(b []byte) []byte {
		for _, n := range names {
			address := n.Address.As4()
			start := len(b)
			b = order.AppendUint16(b, recordIPv4)
			b = order.AppendUint16(b, uint16(len(address)+len(n.Name)+1))
			b = append(b, address[:]...)
			b = append(b, n.Name...)
			b = pad(append(b, 0), start)
		}
		return append(b, 0, 0, 0, 0)
	})
}

func appendTime(b []byte, at int64) []byte {
	b = order.AppendUint32(b, uint32(uint64(at)>>32))
	return order.AppendUint32(b, uint32(at))
}

func appendPacket(b []byte, p Packet) []byte {
	return appendBlock(b, packetBlock, func(b []byte) []byte {
		data := p.Data[:min(len(p.Data), SnapLength)]
		b = order.AppendUint32(b, uint32(p.Interface))
		b = appendTime(b, p.Time)
		b = order.AppendUint32(b, uint32(len(data)))
		b = order.AppendUint32(b, uint32(max(p.Length, len(p.Data))))
		start := len(b)
		b = pad(append(b, data...), start)
		if p.Comment == "" && p.Direction == Unknown {
			return b
		}
		b = appendText(b, optComment, p.Comment)
		if p.Direction != Unknown {
			b = appendOption(b, optFlags, order.AppendUint32(nil, uint32(p.Direction)))
		}
		return endOptions(b)
	})
}

// appendStats tells how many packets an interface has seen, and how many of them were missed.
func appendStats(b []byte, of int, at int64, received, missed uint64) []byte {
	return appendBlock(b, statsBlock, func(b []byte) []byte {
		b = order.AppendUint32(b, uint32(of))
		b = appendTime(b, at)
		b = appendOption(b, optReceived, order.AppendUint64(nil, received))
		return endOptions(appendOption(b, optDropped, order.AppendUint64(nil, missed)))
	})
}
