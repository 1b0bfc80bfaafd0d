package raftnode

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
)

// image is a state as it stands in a snapshot.
type image struct {
	Index     uint64                       `json:"index"`
	Term      uint64                       `json:"term"`
	Registers map[string]int64             `json:"registers"`
	Sets      map[string][]int64           `json:"sets"`
	Queues    map[string]queueImage        `json:"queues"`
	Counters  map[string]int64             `json:"counters"`
	Lists     map[string][]int64           `json:"lists"`
	Objects   map[string]map[string][]byte `json:"objects,omitempty"` // by directory and name
	Uploads   []upload                     `json:"uploads,omitempty"` // sorted by client
	Cache     map[string]cacheEntry        `json:"cache,omitempty"`
	Leases    int64                        `json:"leases,omitempty"`
	Sessions  []session                    `json:"sessions"` // by the time of their last command, the oldest first
	Evicted   uint64                       `json:"evicted"`
	Boards    map[string]boardImage        `json:"boards,omitempty"`
	Mailboxes map[string]mailboxImage      `json:"mailboxes,omitempty"`
	Clock     int64                        `json:"clock,omitempty"`
}

type queueImage struct {
	Head  uint64  `json:"head"`
	Items []int64 `json:"items"`
}

// image copies the state. The sets are left unsorted: sorting can wait until
// nobody holds the state's lock.
func (s *state) image() *image {
	im := &image{
		Index:     s.index,
		Term:      s.term,
		Registers: maps.Clone(s.registers),
		Sets:      make(map[string][]int64, len(s.sets)),
		Queues:    make(map[string]queueImage, len(s.queues)),
		Counters:  maps.Clone(s.counters),
		Lists:     make(map[string][]int64, len(s.lists)),
		Sessions:  make([]session, 0, len(s.sessions)),
		Evicted:   s.evicted,
		Cache:     maps.Clone(s.cache),
		Leases:    s.leases,
	}
	for key, set := range s.sets {
		all := make([]int64, 0, len(set))
		for v := range set {
			all = append(all, v)
		}
		im.Sets[key] = all
	}
	for key, q := range s.queues {
		im.Queues[key] = queueImage{q.head, slices.Clone(q.items)}
	}
	im.Clock = s.clock
	for key, b := range s.boards {
		if im.Boards == nil {
			im.Boards = map[string]boardImage{}
		}
		im.Boards[key] = b.image()
	}
	for key, m := range s.mailboxes {
		if im.Mailboxes == nil {
			im.Mailboxes = map[string]mailboxImage{}
		}
		im.Mailboxes[key] = m.image()
	}
	for key := range s.lists {
		im.Lists[key] = s.list(key)
	}
	s.objects.image(im)
	for e := s.recent.Front(); e != nil; e = e.Next() {
		im.Sessions = append(im.Sessions, *e.Value.(*session))
	}
	return im
}

// state is the inverse of (*state).image.
func (im *image) state() *state {
	s := newState()
	s.index, s.term, s.evicted = im.Index, im.Term, im.Evicted
	for key, v := range im.Registers {
		s.setRegister(key, v)
	}
	for key, all := range im.Sets {
		for _, v := range all {
			s.addToSet(key, v)
		}
	}
	for key, qi := range im.Queues {
		q := s.queue(key)
		q.head, q.items = qi.Head, slices.Clone(qi.Items)
		for i, v := range q.items {
			s.sum += queueFact(key, q.head+uint64(i), uint64(v))
		}
	}
	for key, v := range im.Counters {
		s.setCounter(key, v)
	}
	for key, list := range im.Lists {
		for _, v := range list {
			s.appendTo(key, v)
		}
	}
	s.restoreObjects(im)
	s.leases = im.Leases
	for key, e := range im.Cache {
		s.setCache(key, e)
	}
	s.clock = im.Clock
	for key, b := range im.Boards {
		s.restoreBoard(key, b)
	}
	for key, m := range im.Mailboxes {
		s.restoreMailbox(key, m)
	}
	for i := range im.Sessions {
		n := im.Sessions[i]
		s.sessions[n.Client] = s.recent.PushBack(&n)
		s.sum += sessionFact(&n)
	}
	return s
}

// write encodes the image; equal states give equal bytes.
func (im *image) write(w io.Writer) error {
	for _, set := range im.Sets {
		slices.Sort(set)
	}
	for _, b := range im.Boards {
		slices.Sort(b.Finished)
	}
	return json.NewEncoder(w).Encode(im)
}

func readImage(r io.Reader) (*image, error) {
	im := &image{}
	if err := json.NewDecoder(r).Decode(im); err != nil {
		return nil, fmt.Errorf("read snapshot: %w", err)
	}
	return im, nil
}
