//go:build !wasip1

package raftnode

import (
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"coup/cluster/raftnode/simulated"
)

// With two messages under way, the sender of the second one waits until the first
// is answered and the answer taken; if nobody takes it, until the pipeline is closed.
// That is so in both transports, whose depth is what raft has if nobody changes it.
func TestPipelinesAreShallow(t *testing.T) {
	if simulated.LeastInFlight != raft.DefaultMaxRPCsInFlight {
		t.Errorf("raft's own default is %d", raft.DefaultMaxRPCsInFlight)
	}
	tcp := func(addr string) raft.Transport {
		tr, err := newTCP(addr, addr, time.Minute, simulated.LeastInFlight, hclog.NewNullLogger(), openWires())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { tr.(raft.WithClose).Close() })
		return tr
	}
	onSimulated := func(addr string) raft.Transport {
		l, err := listenTCP(addr)
		if err != nil {
			t.Fatal(err)
		}
		tr := simulated.NewTransport(l, addr, dialAddr, time.Minute, simulated.LeastInFlight)
		t.Cleanup(func() { tr.Close() })
		return tr
	}
	ports := freePorts(t, 4)
	for name, pair := range map[string][2]raft.Transport{
		"raft's own": {tcp(ports[0]), tcp(ports[1])},
		"simulated":  {onSimulated(ports[2]), onSimulated(ports[3])},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := pair[0].AppendEntriesPipeline("b", pair[1].LocalAddr())
			if err != nil {
				t.Fatal(err)
			}
			returned := make(chan error)
			send := func() {
				_, err := p.AppendEntries(&raft.AppendEntriesRequest{}, &raft.AppendEntriesResponse{})
				returned <- err
			}
			waits := func() {
				t.Helper()
				select {
				case err := <-returned:
					t.Fatalf("a message too many was sent: %v", err)
				case <-time.After(50 * time.Millisecond):
				}
			}
			next := func(want error) {
				t.Helper()
				if err := <-returned; !errors.Is(err, want) {
					t.Fatalf("%v, want %v", err, want)
				}
			}
			answer := func() {
				rpc := <-pair[1].Consumer()
				rpc.Respond(&raft.AppendEntriesResponse{}, nil)
			}
			go send()
			next(nil)
			go send()
			waits() // for the first to be answered
			answer()
			waits() // for the answer to be taken
			<-p.Consumer()
			next(nil)
			answer() // which nobody takes
			go send()
			waits()
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			next(raft.ErrPipelineShutdown)
		})
	}
}
