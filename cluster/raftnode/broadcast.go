package raftnode

import "sync"

// broadcast wakes all goroutines that wait for a change. To wait: take the channel of
// next, look at the state, and if it is not as wanted, receive from the channel.
type broadcast struct {
	mu sync.Mutex
	ch chan struct{}
}

// next is closed by the next fire.
func (s *broadcast) next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *broadcast) fire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}
