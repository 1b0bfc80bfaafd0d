package raftnode

import (
	"context"
	"net"
	"os"

	"coup/cluster/sim/guest"
)

// On a simulated machine, sockets and signals are those of the simulator.

func listenTCP(addr string) (net.Listener, error) { return guest.Listen(addr) }

func dialAddr(ctx context.Context, addr string) (net.Conn, error) { return guest.Dial(ctx, addr) }

// asked receives when the process is asked to end.
func asked() (stop <-chan os.Signal, ignore func()) { return guest.Terminated(), func() {} }
