package raftnode

import "slices"

// A mailbox is a queue whose messages are acknowledged by whoever got them. It
// delivers the messages of each producer in their order: one that is neither acknowledged
// nor dead holds back all that come after it. A message that is not acknowledged in
// time, by the clock of the log, is delivered again, at its old place. One that was
// delivered mostDeliveries times in vain is put among the dead letters.
type mailbox struct {
	letters []letter // in the order in which they were put in
	token   int64    // of the newest delivery
	dead    []int64  // in the order in which they were given up
}

type letter struct {
	ID       int64 `json:"id"`
	Producer int64 `json:"producer"`
	Token    int64 `json:"token,omitempty"` // of its newest delivery; 0: there was none
	Until    int64 `json:"until,omitempty"` // when that is over, by the clock of the log
	Given    int64 `json:"given,omitempty"` // how many deliveries there were
}

// mostDeliveries is how often a message is delivered.
const mostDeliveries = 3

func (s *state) mailbox(key string) *mailbox {
	m := s.mailboxes[key]
	if m == nil {
		m = &mailbox{}
		s.mailboxes[key] = m
	}
	return m
}

// post performs a command on a mailbox.
func (s *state) post(c command, bug Bug) result {
	s.clock = max(s.clock, c.At)
	m := s.mailbox(c.Key)
	switch c.Op {
	case opPut:
		l := letter{ID: c.Value}
		if c.From != nil {
			l.Producer = *c.From
		}
		m.letters = append(m.letters, l)
		s.sum += letterFact(c.Key, l)
	case opDeliver:
		return s.deliver(m, c, bug)
	case opAck:
		i := m.find(c.Value)
		if i < 0 || !bug.is(StaleAck) && !m.letters[i].heldBy(c.From, s.clock) {
			return result{Refused: refusedAck}
		}
		s.sum -= letterFact(c.Key, m.letters[i])
		m.letters = slices.Delete(m.letters, i, i+1)
	}
	return result{}
}

func (m *mailbox) find(id int64) int {
	return slices.IndexFunc(m.letters, func(l letter) bool { return l.ID == id })
}

// heldBy says whether the delivery with this token is the newest one and not over.
func (l letter) heldBy(token *int64, clock int64) bool {
	return token != nil && l.Token == *token && l.Until > clock
}

// deliver gives out the oldest message that may be given out.
func (s *state) deliver(m *mailbox, c command, bug Bug) result {
	held := map[int64]bool{} // producers with a message before this one
	for i := 0; i < len(m.letters); i++ {
		l := m.letters[i]
		if held[l.Producer] || l.Token != 0 && l.Until > s.clock {
			held[l.Producer] = true
			continue
		}
		s.sum -= letterFact(c.Key, l)
		if l.Given >= mostDeliveries {
			m.letters = slices.Delete(m.letters, i, i+1)
			i--
			if !bug.is(DroppedDeadLetter) {
				m.dead = append(m.dead, l.ID)
				s.sum += deadFact(c.Key, l.ID)
			}
			continue
		}
		m.token++
		l.Token, l.Until = m.token, s.leaseEnd(c)
		l.Given++
		m.letters[i] = l
		if bug.is(RedeliveryAtTail) && l.Given > 1 {
			m.letters = append(slices.Delete(m.letters, i, i+1), l)
		}
		s.sum += letterFact(c.Key, l)
		return result{Value: &l.ID, Given: l.Token, Lease: c.Lease}
	}
	return result{}
}

// waiting are the messages that are neither acknowledged nor dead, in their order.
func (s *state) waiting(key string) []int64 {
	var all []int64
	if m := s.mailboxes[key]; m != nil {
		for _, l := range m.letters {
			all = append(all, l.ID)
		}
	}
	return all
}

func (s *state) deadLetters(key string) []int64 {
	if m := s.mailboxes[key]; m != nil {
		return slices.Clone(m.dead)
	}
	return nil
}

// mailboxImage is a mailbox as it stands in a snapshot.
type mailboxImage struct {
	Letters []letter `json:"letters"`
	Token   int64    `json:"token"`
	Dead    []int64  `json:"dead"`
}

func (m *mailbox) image() mailboxImage {
	return mailboxImage{slices.Clone(m.letters), m.token, slices.Clone(m.dead)}
}

// restoreMailbox is the inverse of (*mailbox).image.
func (s *state) restoreMailbox(key string, im mailboxImage) {
	s.mailboxes[key] = &mailbox{slices.Clone(im.Letters), im.Token, slices.Clone(im.Dead)}
	for _, l := range im.Letters {
		s.sum += letterFact(key, l)
	}
	for _, id := range im.Dead {
		s.sum += deadFact(key, id)
	}
}

// acknowledgeable says whether c would acknowledge its message by what the node has applied
// (ack-before-commit).
func (n *Node) acknowledgeable(c command) (ok bool) {
	n.fsm.view(func(s *state) {
		if m := s.mailboxes[c.Key]; m != nil {
			i := m.find(c.Value)
			ok = i >= 0 && m.letters[i].heldBy(c.From, s.clock)
		}
	})
	return ok
}
