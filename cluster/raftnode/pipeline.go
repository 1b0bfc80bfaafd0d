package raftnode

import (
	"sync"

	"github.com/hashicorp/raft"
)

// shallow makes a pipeline of replication as deep as that of hashicorp/raft's own
// transport is with MaxRPCsInFlight: so many messages are under way, and whoever
// sends one more waits; of answers, two fewer are kept for whoever takes them.
// Raft may stop taking them and go on sending, and then waits for ever, while its
// heartbeats go on (hashicorp/raft#612). A deeper pipeline hides that.
type shallow struct {
	raft.AppendPipeline
	open  chan struct{}
	done  chan raft.AppendFuture
	ended chan struct{}
	once  sync.Once
}

// leastInFlight is the least that makes a pipeline.
const leastInFlight = 2

func newShallow(p raft.AppendPipeline, inFlight int) *shallow {
	s := &shallow{
		AppendPipeline: p, open: make(chan struct{}, inFlight-leastInFlight),
		done: make(chan raft.AppendFuture, inFlight-leastInFlight), ended: make(chan struct{}),
	}
	go s.receive()
	return s
}

// receive takes one message at a time, and waits for its answer.
func (s *shallow) receive() {
	for {
		select {
		case <-s.open:
		case <-s.ended:
			return
		}
		var answer raft.AppendFuture
		select {
		case answer = <-s.AppendPipeline.Consumer():
		case <-s.ended:
			return
		}
		select {
		case s.done <- answer:
		case <-s.ended:
			return
		}
	}
}

// AppendEntries implements raft.AppendPipeline.
func (s *shallow) AppendEntries(req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	f, err := s.AppendPipeline.AppendEntries(req, resp)
	if err != nil {
		return nil, err
	}
	select {
	case s.open <- struct{}{}:
		return f, nil
	case <-s.ended:
		return nil, raft.ErrPipelineShutdown
	}
}

// Consumer implements raft.AppendPipeline.
func (s *shallow) Consumer() <-chan raft.AppendFuture { return s.done }

// Close implements raft.AppendPipeline.
func (s *shallow) Close() error {
	s.once.Do(func() { close(s.ended) })
	return s.AppendPipeline.Close()
}
