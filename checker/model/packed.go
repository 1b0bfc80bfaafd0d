package model

import "encoding/binary"

// Some states are strings of 8 bytes per element, so that they can be compared
// with == and never change.

func appendElement(s string, v int64) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(v))
	return s + string(b[:])
}

func elementAt(s string, i int) int64 {
	return int64(binary.BigEndian.Uint64([]byte(s[8*i : 8*i+8])))
}
