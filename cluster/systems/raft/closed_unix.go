//go:build unix

package raft

import (
	"net"
	"syscall"
)

// closedByPeer says whether an idle connection cannot carry another question:
// the peer closed or reset it, or said something unasked. Otherwise the first
// operation after a node's restart would go into the void, with its outcome
// unknown for no reason. It never blocks.
func closedByPeer(c net.Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	closed := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet := n < 0 && (err == syscall.EAGAIN || err == syscall.EINTR)
		closed = !quiet
	})
	return closed || err != nil
}
