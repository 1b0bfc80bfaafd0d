//go:build !unix

package raft

import "net"

func closedByPeer(net.Conn) bool { return false }
