package raftnode

import (
	"errors"
	"testing"

	"github.com/hashicorp/raft"
)

// deep is a pipeline that takes whatever it is given, and answers when told.
type deep struct {
	raft.AppendPipeline
	sent    chan *raft.AppendEntriesRequest
	answers chan raft.AppendFuture
}

func (d deep) AppendEntries(req *raft.AppendEntriesRequest, _ *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	d.sent <- req
	return nil, nil
}
func (d deep) Consumer() <-chan raft.AppendFuture { return d.answers }
func (d deep) Close() error                       { return nil }

// With two messages under way, whoever has sent the second one waits until the
// answer to the first was taken; if nobody takes it, until the pipeline is closed.
func TestShallowPipelineWaits(t *testing.T) {
	d := deep{sent: make(chan *raft.AppendEntriesRequest, 9), answers: make(chan raft.AppendFuture, 9)}
	s := newShallow(d, leastInFlight)
	returned := make(chan error)
	send := func() {
		_, err := s.AppendEntries(&raft.AppendEntriesRequest{}, nil)
		returned <- err
	}
	next := func(want error) {
		t.Helper()
		if err := <-returned; !errors.Is(err, want) {
			t.Fatalf("%v, want %v", err, want)
		}
	}
	go send()
	next(nil)
	go send()
	<-d.sent
	<-d.sent // the second is on its way
	select {
	case <-returned:
		t.Fatal("the second message did not wait")
	default:
	}
	d.answers <- nil
	<-s.Consumer()
	next(nil)
	d.answers <- nil // which nobody takes
	go send()
	<-d.sent
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	next(raft.ErrPipelineShutdown)
}
