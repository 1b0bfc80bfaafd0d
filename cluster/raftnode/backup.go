package raftnode

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// The ways of replication.
const (
	ByRaft          = "raft"
	ByPrimaryBackup = "primary-backup"
)

// PathPromote makes the node the primary, by a POST of a [Promotion]: this is what a person does
// when the primary is gone. PathCopy is how the primary sends its log to the backups.
const (
	PathPromote = "/promote"
	PathCopy    = "/copy"
)

// Promotion is the body of a promotion.
type Promotion struct {
	Epoch uint64 `json:"epoch"` // of the new primary: larger than that of any primary before
}

// backup is a node that replicates as many home-made services do: one primary answers
// everything and copies its log to the backups, mostly after it has answered. There is no
// election. Whoever is told to is the primary of a new epoch; a primary of an older epoch
// becomes a backup when it hears of the new one, and drops what only it has. Until then
// there are two. So it loses acknowledged writes, and that is what it is for.
type backup struct {
	cfg     Config
	fsm     *fsm
	events  *emitter
	asker   asker
	server  server
	serving chan struct{} // closed when the server has ended
	ctx     context.Context
	stop    context.CancelFunc
	started time.Time
	clock   logClock
	changed broadcast // fires when the log or the role has changed, or a copy has arrived

	mu      sync.Mutex // guards all below, and the log
	epoch   uint64
	primary string // of the epoch
	last    uint64 // newest entry of the log
	heard   time.Time
	agreed  uint64            // up to where the log is that of the primary of the epoch, as far as is known
	copied  map[string]uint64 // of the primary: up to where a backup has its log
}

// startBackup runs a node until Close, as [Start] does.
func startBackup(cfg Config) (*backup, error) {
	b := &backup{cfg: cfg, started: time.Now(), serving: make(chan struct{}), copied: map[string]uint64{}}
	if b.cfg.Events == nil {
		b.cfg.Events = io.Discard
	}
	b.events = newEmitter(cfg.ID, b.cfg.Events)
	b.fsm = newFSM("", b.events, cfg.StateEvery)
	b.ctx, b.stop = context.WithCancel(context.Background())
	b.asker = newAsker(cfg.dial)
	if err := b.restore(); err != nil {
		b.stop()
		cfg.Listener.Close()
		b.events.close()
		return nil, err
	}
	b.events.emit(Event{Kind: EventBoot, Raft: ByPrimaryBackup})
	b.tell()
	for _, p := range cfg.Peers {
		if p.Name != cfg.ID {
			go b.copyTo(p.Name)
		}
	}
	b.server = newServer(b.handler(), nil)
	go func() {
		defer close(b.serving)
		_ = b.server.Serve(cfg.Listener) // ends with Close
	}()
	return b, nil
}

// Close stops the node.
func (b *backup) Close() error {
	b.events.emit(Event{Kind: EventShutdown})
	b.stop()
	b.changed.fire()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if b.server.Shutdown(ctx) != nil {
		b.server.Close()
	}
	<-b.serving
	b.asker.close()
	b.events.close()
	return nil
}

// keyPrimary is where the epoch and its primary are stored: "2 n3".
var keyPrimary = []byte("Primary")

// restore reads what the node had stored. A node that has stored nothing takes the first
// of the peers for the primary of epoch 1.
func (b *backup) restore() error {
	b.epoch, b.primary = 1, b.cfg.Peers[0].Name
	if stored, err := b.cfg.Stable.Get(keyPrimary); err == nil && len(stored) > 0 {
		epoch, primary, _ := strings.Cut(string(stored), " ")
		if b.epoch, err = strconv.ParseUint(epoch, 10, 64); err != nil {
			return fmt.Errorf("the stored epoch is garbled: %w", err)
		}
		b.primary = primary
	}
	var err error
	if b.last, err = b.cfg.Logs.LastIndex(); err != nil {
		return err
	}
	// A log that ends with an entry of the epoch was copied from its primary.
	if at, err := b.epochAt(b.last); err != nil {
		return err
	} else if at == b.epoch {
		b.agreed = b.last
	}
	return b.replay(1, b.last)
}

// replay applies entries of the log.
func (b *backup) replay(from, to uint64) error {
	for i := from; i <= to; i++ {
		l := &raft.Log{}
		if err := b.cfg.Logs.GetLog(i, l); err != nil {
			return fmt.Errorf("entry %d of the log: %w", i, err)
		}
		b.fsm.Apply(l)
	}
	return nil
}

// tell tells the role. The caller holds the lock, or nobody else runs yet.
func (b *backup) tell() {
	role := "follower"
	if b.primary == b.cfg.ID {
		role = "leader"
	}
	b.events.emit(Event{Kind: EventRole, Role: role, Term: b.epoch})
	if role == "follower" && !b.heard.IsZero() {
		b.events.emit(Event{Kind: EventLeader, Leader: b.primary, Term: b.epoch})
	}
}

// adopt makes primary the primary of an epoch. The caller holds the lock.
func (b *backup) adopt(epoch uint64, primary string) error {
	if err := b.cfg.Stable.Set(keyPrimary, []byte(fmt.Sprintf("%d %s", epoch, primary))); err != nil {
		return err
	}
	b.epoch, b.primary, b.heard, b.agreed = epoch, primary, time.Now(), 0
	clear(b.copied)
	b.tell()
	b.changed.fire()
	return nil
}

func (b *backup) handler() http.Handler {
	mux := operationsOf(b.ctx, b.do)
	mux.HandleFunc("POST "+PathPromote, func(w http.ResponseWriter, r *http.Request) {
		var p Promotion
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&p); err != nil {
			answer(w, http.StatusBadRequest, didNotHappen(err.Error()))
			return
		}
		reply(w, b.Status(), b.promote(p))
	})
	mux.HandleFunc("POST "+PathCopy, func(w http.ResponseWriter, r *http.Request) {
		var m copies
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&m); err != nil {
			answer(w, http.StatusBadRequest, didNotHappen(err.Error()))
			return
		}
		got, err := b.receive(m)
		if err != nil {
			answer(w, http.StatusInternalServerError, didNotHappen(err.Error()))
			return
		}
		answer(w, http.StatusOK, got)
	})
	mux.HandleFunc("GET "+PathStatus, func(w http.ResponseWriter, r *http.Request) { answer(w, http.StatusOK, b.Status()) })
	return mux
}

// Status says how the node is.
func (b *backup) Status() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Status{Node: b.cfg.ID, Role: "follower", Term: b.epoch, Last: b.last, Commit: b.agreed}
	if b.primary == b.cfg.ID {
		s.Role, s.Commit = "leader", b.last
	}
	s.Leader = b.knownPrimary()
	b.fsm.view(func(st *state) { s.Applied, s.Hash = st.index, st.hash() })
	return s
}

// knownPrimary is the primary as far as it was heard of lately; "" if it was not. The
// caller holds the lock.
func (b *backup) knownPrimary() string {
	if b.primary == b.cfg.ID || time.Since(b.heard) < silence*b.cfg.Heartbeat {
		return b.primary
	}
	return ""
}

// A backup that has heard nothing for so many heartbeats takes the primary for gone.
const silence = 3

func (b *backup) promote(p Promotion) *Failure {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.Epoch <= b.epoch {
		return didNotHappen(fmt.Sprintf("epoch %d is not larger than %d", p.Epoch, b.epoch))
	}
	if err := b.adopt(p.Epoch, b.cfg.ID); err != nil {
		return mayHaveHappened(err.Error())
	}
	return nil
}

// do performs an operation: stale reads anywhere, all else at the primary, which asks
// nobody whether it still is.
func (b *backup) do(ctx context.Context, req Request, op operation) (resp Response, f *Failure) {
	if op.read && req.Reads == Stale {
		b.fsm.view(func(s *state) { resp = op.look(s, req) })
		return resp, nil
	}
	b.mu.Lock()
	if b.primary != b.cfg.ID {
		f = &Failure{Reason: "not the primary", Happened: DidNotHappen, Leader: b.knownPrimary()}
		b.mu.Unlock()
		return Response{}, f
	}
	if op.read {
		defer b.mu.Unlock()
		b.fsm.view(func(s *state) { resp = op.look(s, req) })
		return resp, nil
	}
	c := commandOf(req, op)
	epoch := b.epoch
	c.Cache.Now = stamp{epoch, int64(time.Since(b.started))}
	if timed(c.Op) {
		c.Lease = b.cfg.leaseFor(c.Op)
		c.At, c.Term = b.clock.read(b.fsm, epoch)
	}
	l := &raft.Log{Index: b.last + 1, Term: epoch, Type: raft.LogCommand, Data: c.encode()}
	if err := b.cfg.Logs.StoreLog(l); err != nil {
		b.mu.Unlock()
		return Response{}, mayHaveHappened(err.Error())
	}
	b.last = l.Index
	r, _ := b.fsm.Apply(l).(result)
	b.changed.fire()
	b.mu.Unlock()
	if f := r.Refused.failure(); f != nil {
		return Response{}, f
	}
	if f := b.awaitCopies(ctx, epoch, l.Index); f != nil {
		return Response{}, f
	}
	return r.response(), nil
}

// awaitCopies returns when so many backups as the settings ask for have the entry.
func (b *backup) awaitCopies(ctx context.Context, epoch, index uint64) *Failure {
	if b.cfg.Copies == 0 {
		return nil
	}
	for {
		next := b.changed.next()
		b.mu.Lock()
		have, current := 0, b.epoch == epoch
		for _, at := range b.copied {
			if at >= index {
				have++
			}
		}
		b.mu.Unlock()
		switch {
		case !current:
			return mayHaveHappened("another node was promoted")
		case have >= b.cfg.Copies:
			return nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return mayHaveHappened("timed out waiting for a copy")
		}
	}
}

// copies is a part of a primary's log.
type copies struct {
	Epoch     uint64  `json:"epoch"`
	Primary   string  `json:"primary"`
	Prev      uint64  `json:"prev"` // the entry before those; 0: there is none
	PrevEpoch uint64  `json:"prev_epoch"`
	Entries   []entry `json:"entries"` // none: only to say that the primary is there
}

type entry struct {
	Epoch uint64 `json:"epoch"`
	Data  []byte `json:"data"`
}

// copied answers copies.
type copied struct {
	OK      bool   `json:"ok"`
	Epoch   uint64 `json:"epoch"`
	Primary string `json:"primary"`
	Last    uint64 `json:"last"` // up to where the backup may have the same log
}

// receive takes a part of the primary's log. What the node has instead of it, it drops.
func (b *backup) receive(m copies) (copied, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	refuse := func(last uint64) (copied, error) {
		return copied{Epoch: b.epoch, Primary: b.primary, Last: last}, nil
	}
	if m.Epoch < b.epoch || m.Epoch == b.epoch && m.Primary != b.primary {
		return refuse(b.last)
	}
	first := b.heard.IsZero() || time.Since(b.heard) >= silence*b.cfg.Heartbeat
	if m.Epoch > b.epoch {
		if err := b.adopt(m.Epoch, m.Primary); err != nil {
			return copied{}, err
		}
		first = false // it is told already
	}
	b.heard = time.Now()
	if first {
		b.events.emit(Event{Kind: EventLeader, Leader: b.primary, Term: b.epoch})
	}
	if m.Prev > b.last {
		return refuse(b.last)
	}
	if at, err := b.epochAt(m.Prev); err != nil {
		return copied{}, err
	} else if at != m.PrevEpoch {
		return refuse(m.Prev - 1)
	}
	index := m.Prev
	for len(m.Entries) > 0 && index < b.last {
		at, err := b.epochAt(index + 1)
		if err != nil {
			return copied{}, err
		}
		if at != m.Entries[0].Epoch {
			break
		}
		index, m.Entries = index+1, m.Entries[1:]
	}
	if len(m.Entries) > 0 {
		if err := b.append(index, m.Entries); err != nil {
			return copied{}, err
		}
		index = b.last
	}
	b.agreed = max(b.agreed, index)
	return copied{OK: true, Epoch: b.epoch, Primary: b.primary, Last: index}, nil
}

// epochAt is the epoch of an entry. The caller holds the lock.
func (b *backup) epochAt(index uint64) (uint64, error) {
	if index == 0 {
		return 0, nil
	}
	l := &raft.Log{}
	err := b.cfg.Logs.GetLog(index, l)
	return l.Term, err
}

// append puts entries behind the entry at prev, in place of all that is there. The caller
// holds the lock.
func (b *backup) append(prev uint64, entries []entry) error {
	if prev < b.last {
		if err := b.cfg.Logs.DeleteRange(prev+1, b.last); err != nil {
			return err
		}
		b.last = prev
		b.fsm.forget()
		if err := b.replay(1, prev); err != nil {
			return err
		}
		at, term := b.fsm.position()
		b.fsm.view(func(s *state) {
			b.events.emit(Event{Kind: EventRestore, Index: at, Term: term, Hash: s.hash()})
		})
	}
	var logs []*raft.Log
	for i, e := range entries {
		logs = append(logs, &raft.Log{Index: prev + uint64(i) + 1, Term: e.Epoch, Type: raft.LogCommand, Data: e.Data})
	}
	if err := b.cfg.Logs.StoreLogs(logs); err != nil {
		return err
	}
	for _, l := range logs {
		b.fsm.Apply(l)
	}
	b.last += uint64(len(logs))
	return nil
}

// copyTo keeps a backup up to date for as long as this node is the primary.
func (b *backup) copyTo(peer string) {
	var next, epoch uint64
	for b.ctx.Err() == nil {
		changed := b.changed.next()
		m, ok := b.part(&next, &epoch)
		wait := b.cfg.Heartbeat
		if ok {
			more, err := b.send(peer, m, &next)
			switch {
			case errors.Is(err, errGarbled):
				b.cfg.Logger.Error("copy", "peer", peer, "error", err)
			case err == nil && more:
				continue
			}
			if err != nil {
				changed = nil // an entry more does not make the peer answer
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-changed:
		case <-timer.C:
		case <-b.ctx.Done():
		}
		timer.Stop()
	}
}

// atOnce is how many entries are sent at once.
const atOnce = 256

// part is what to send next to a backup; ok is false if the node is no primary.
func (b *backup) part(next, epoch *uint64) (m copies, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.primary != b.cfg.ID {
		return m, false
	}
	if *epoch != b.epoch { // primary from now on
		*epoch, *next = b.epoch, b.last+1
	}
	m = copies{Epoch: b.epoch, Primary: b.primary, Prev: *next - 1}
	var err error
	if m.PrevEpoch, err = b.epochAt(m.Prev); err != nil {
		return m, false
	}
	for i := *next; i <= b.last && len(m.Entries) < atOnce; i++ {
		l := &raft.Log{}
		if err := b.cfg.Logs.GetLog(i, l); err != nil {
			return m, false
		}
		m.Entries = append(m.Entries, entry{l.Term, l.Data})
	}
	return m, true
}

var errGarbled = errors.New("garbled answer")

// send sends a part of the log. more says that there is more to send at once.
func (b *backup) send(peer string, m copies, next *uint64) (more bool, err error) {
	body, err := json.Marshal(m)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(b.ctx, cmp.Or(b.cfg.Retry, b.cfg.Heartbeat)*2)
	defer cancel()
	status, reply, err := b.asker.ask(ctx, peer, PathCopy, body)
	if err != nil {
		return false, err
	}
	var got copied
	if err := json.Unmarshal(reply, &got); err != nil || status != http.StatusOK {
		return false, fmt.Errorf("%w of %s: status %d", errGarbled, peer, status)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case got.Epoch > b.epoch:
		return false, b.adopt(got.Epoch, got.Primary)
	case b.epoch != m.Epoch:
		return true, nil
	case got.OK:
		*next = got.Last + 1
		b.copied[peer] = got.Last
		if b.cfg.Copies > 0 {
			b.changed.fire()
		}
		return *next <= b.last, nil
	case got.Epoch == b.epoch && got.Primary != b.primary:
		return false, fmt.Errorf("%s has another primary in epoch %d: %s", peer, b.epoch, got.Primary)
	}
	*next = min(*next, got.Last+1)
	return true, nil
}
