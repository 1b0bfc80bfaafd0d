//go:build unix

package raft

import (
	"crypto/tls"
	"net"
	"syscall"
)

// closedByPeer reports whether an idle connection can't be used any more, because the peer
// closed or reset it, or sent something without being asked. Without this check, the first
// operation after a node's restart would be lost, and its outcome unknown for no reason. It
// never blocks.
func closedByPeer(c net.Conn) bool {
	if t, ok := c.(*tls.Conn); ok { // which sends nothing between two answers
		c = t.NetConn()
	}
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
