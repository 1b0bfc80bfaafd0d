package capture

import (
	"encoding/binary"
	"net/netip"
)

// Flags of TCP.
const (
	flagFIN = 1 << iota
	flagSYN
	flagRST
	flagPSH
	flagACK
)

// host is a simulated machine on the wire.
type host struct {
	address netip.Addr
	mac     [6]byte
}

// hostAt has an address and a MAC address of the range for local use, which follows from it.
func hostAt(a netip.Addr) host {
	b := a.As4()
	return host{a, [6]byte{0x02, 0, b[0], b[1], b[2], b[3]}}
}

// tcp is what the header of a segment says.
type tcp struct {
	from, to uint16 // ports
	seq, ack uint32
	flags    byte
	first    bool // the options of a connection's first segments: segments of any length, the widest window
}

const (
	etherHeader = 14
	ipHeader    = 20
	tcpHeader   = 20
	// mostData is how much a frame carries: as much as a packet of IPv4 can, as with offloading.
	mostData = 65535 - ipHeader - tcpHeader
)

// appendFrame appends an Ethernet frame with an IPv4 packet (RFC 791) that holds a TCP segment
// (RFC 9293), with right checksums (RFC 1071).
func appendFrame(b []byte, from, to host, t tcp, data []byte) []byte {
	options := []byte(nil)
	if t.first {
		options = []byte{2, 4, 0xFF, 0xD7, 1, 3, 3, 14} // a largest segment of 65495 bytes, a window of 2^14 times what is told
	}
	start := len(b)
	b = append(b, to.mac[:]...)
	b = append(b, from.mac[:]...)
	b = append(b, 0x08, 0x00)

	source, destination := from.address.As4(), to.address.As4()
	length := tcpHeader + len(options) + len(data)
	b = append(b, 0x45, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(ipHeader+length))
	b = append(b, 0, 0, 0x40, 0, 64, 6, 0, 0) // not to be split; 64 hops; TCP
	b = append(b, source[:]...)
	b = append(b, destination[:]...)
	ip := b[start+etherHeader:]
	binary.BigEndian.PutUint16(ip[10:], checksum(0, ip))

	at := len(b)
	b = binary.BigEndian.AppendUint16(b, t.from)
	b = binary.BigEndian.AppendUint16(b, t.to)
	b = binary.BigEndian.AppendUint32(b, t.seq)
	b = binary.BigEndian.AppendUint32(b, t.ack)
	b = append(b, byte(tcpHeader+len(options))/4<<4, t.flags, 0xFF, 0xFF, 0, 0, 0, 0)
	b = append(b, options...)
	b = append(b, data...)
	pseudo := sum(sum(sum(0, source[:]), destination[:]), []byte{0, 6, byte(length >> 8), byte(length)})
	binary.BigEndian.PutUint16(b[at+16:], checksum(pseudo, b[at:]))
	return b
}

// sum adds b to a sum of 16-bit words.
func sum(s uint32, b []byte) uint32 {
	for ; len(b) > 1; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

func checksum(s uint32, b []byte) uint16 {
	s = sum(s, b)
	for s > 0xFFFF {
		s = s>>16 + s&0xFFFF
	}
	return ^uint16(s)
}
