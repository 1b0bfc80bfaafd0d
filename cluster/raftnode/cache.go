package raftnode

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/raft"
)

// Cached is what requests and answers about entries of the cache say beside key and value.
type Cached struct {
	Token *int64 `json:"token,omitempty"` // of the lease to fill the entry
	TTL   int64  `json:"ttl_ns,omitempty"`
	Lease int64  `json:"lease_ns,omitempty"` // how long the lease shall last
}

// The paths of the operations on the cache.
const (
	PathCacheGet        = "/cache/get"
	PathCacheFill       = "/cache/fill"
	PathCacheInvalidate = "/cache/invalidate"
)

// The commands. A get goes through the log only if there may be no entry.
const (
	opCacheGet        = "cache-get"
	opCacheFill       = "cache-fill"
	opCacheInvalidate = "cache-invalidate"
	opCacheGrant      = "cache-grant"  // a lease, whoever has one (fill-without-lease)
	opCachePut        = "cache-put"    // an entry, by any lease (fill-without-lease)
	opCacheRemove     = "cache-remove" // the entry, and not the lease (late-fill)
)

var cacheOperations = []operation{
	{name: PathCacheGet, command: opCacheGet},
	{name: PathCacheFill, command: opCacheFill},
	{name: PathCacheInvalidate, command: opCacheInvalidate},
}

// cached is what the request says about an entry of the cache.
func (r Request) cached() Cached {
	if r.Cached == nil {
		return Cached{}
	}
	return *r.Cached
}

// checkCache says what is wrong with a request about an entry of the cache.
func checkCache(req Request, path string) error {
	switch c := req.cached(); {
	case c.TTL < 0 || c.Lease < 0:
		return errors.New("bad request: a time is negative")
	case path == PathCacheFill && c.Token == nil:
		return errors.New("bad request: a fill has the token of a lease")
	}
	return nil
}

// A leader knows how old an entry is only if it has filled it: nothing is known of how much time
// has passed between what two leaders did, and the clocks of nodes may have been set
// to anything. So each leader goes by a clock of its own that only runs (the time since its process
// has begun), stamps its commands with it, and shows only entries that were filled in its own term. A lease of another term
// it takes to have begun with its own first command on it.
//
// Clocks may run a tenth faster or slower than others. So an entry is shown for less than
// the time that it may be, and a lease lasts longer than the client was told.

// stamp is the time of a leader, in nanoseconds. Those of different terms have nothing to do with each other.
type stamp struct {
	Term uint64 `json:"term"`
	At   int64  `json:"at"`
}

func shownFor(ttl int64) int64   { return ttl - ttl/6 }
func lastsFor(lease int64) int64 { return lease + lease/5 }

// cacheCommand is what a command on the cache says.
type cacheCommand struct {
	Token int64
	For   int64 // how long an entry may be shown, or a lease lasts
	Now   stamp
}

func (c *coder) cache(m *cacheCommand) {
	c.Int(&m.Token)
	c.Int(&m.For)
	c.Uint(&m.Now.Term)
	c.Int(&m.Now.At)
}

// onCache says whether a command has a cacheCommand.
func onCache(op string) bool {
	switch op {
	case opCacheGet, opCacheFill, opCacheInvalidate, opCacheGrant, opCachePut, opCacheRemove:
		return true
	}
	return false
}

// cacheOf is what a request about the cache is as a part of a command.
func cacheOf(req Request) cacheCommand {
	c := req.cached()
	m := cacheCommand{For: c.TTL + c.Lease} // each has one of them
	if c.Token != nil {
		m.Token = *c.Token
	}
	return m
}

// now is the time of this leader; a failure if it leads no more. That the term is the one that it leads
// in is what makes its stamps comparable.
func (n *Node) now() (stamp, *Failure) {
	s := stamp{currentTerm(n.raft), int64(time.Since(n.started))}
	if n.raft.State() != raft.Leader || currentTerm(n.raft) != s.Term {
		return s, didNotHappen("not the leader")
	}
	return s, nil
}

// cacheWrite performs an operation on the cache, on the leader.
func (n *Node) cacheWrite(ctx context.Context, c command) (Response, *Failure) {
	switch bug := n.cfg.Bug; {
	case c.Op == opCacheGet:
		v, ok, f := n.cacheLook(ctx, c.Key)
		if f != nil || ok {
			return Response{Value: v}, f
		}
		if bug.is(FillWithoutLease) {
			c.Op = opCacheGrant
		}
	case c.Op == opCacheFill && bug.is(FillWithoutLease):
		c.Op = opCachePut
	case c.Op == opCacheInvalidate && bug.is(LateFill):
		c.Op = opCacheRemove
	}
	var f *Failure
	if c.Cache.Now, f = n.now(); f != nil {
		return Response{}, f
	}
	if n.cfg.Bug.is(CacheWallClock) || n.cfg.Bug.is(CacheFollower) {
		c.At = time.Now().UnixNano()
	}
	r, f := n.propose(ctx, c)
	if f != nil {
		return Response{}, f
	}
	return r.response(), nil
}

// cacheLook looks into the leader's own state. ok says that the answer is there: an entry, or
// nothing because somebody has the lease to fill it.
func (n *Node) cacheLook(ctx context.Context, key string) (v *int64, ok bool, f *Failure) {
	before, f := n.now()
	if f != nil {
		return nil, false, f
	}
	if f := n.confirm(ctx, true); f != nil {
		return nil, false, f
	}
	now, f := n.now()
	if f != nil || now.Term != before.Term {
		return nil, false, didNotHappen("no longer the leader of that term")
	}
	n.fsm.view(func(s *state) {
		e := s.cache[key]
		switch {
		case e.shown(now) || n.revived(e, now):
			v, ok = e.Value, true
		case e.Token != 0 && e.Since.Term == now.Term && e.held(now) && !n.cfg.Bug.is(FillWithoutLease):
			ok = true
		}
	})
	return v, ok, nil
}

// cacheFollower looks into the node's own state, whoever leads (cache-follower).
func (n *Node) cacheFollower(key string) (v *int64) {
	n.fsm.view(func(s *state) {
		if e := s.cache[key]; n.revived(e, stamp{}) {
			v = e.Value
		}
	})
	return v
}

// revived says whether a bug shows an entry that is not to be shown.
func (n *Node) revived(e cacheEntry, now stamp) bool {
	switch {
	case e.Value == nil:
		return false
	case n.cfg.Bug.is(RestartedTTL): // another term's entry begins to live with this one
		return e.Filled.Term < now.Term && now.At-n.elected.Load() < e.Lives
	case n.cfg.Bug.is(CacheWallClock), n.cfg.Bug.is(CacheFollower):
		return time.Now().UnixNano() < e.Ends
	}
	return false
}

// cacheEntry is an entry of the cache, or the lease to fill it.
type cacheEntry struct {
	Value  *int64 `json:"value,omitempty"`
	Filled stamp  `json:"filled"`
	Lives  int64  `json:"lives,omitempty"`
	Ends   int64  `json:"ends,omitempty"` // in Unix nanoseconds, by the wall clock of who filled it (cache-wall-clock, cache-follower)

	Token int64 `json:"token,omitempty"` // of the lease; 0: nobody has it
	Since stamp `json:"since"`
	Lasts int64 `json:"lasts,omitempty"`
}

// shown says whether a leader may show the entry.
func (e cacheEntry) shown(now stamp) bool {
	return e.Value != nil && e.Filled.Term == now.Term && now.At-e.Filled.At < e.Lives
}

// held says whether somebody has the lease, as far as a leader knows.
func (e cacheEntry) held(now stamp) bool {
	return e.Token != 0 && (e.Since.Term != now.Term || now.At-e.Since.At < e.Lasts)
}

const refusedLease refusal = "the lease to fill the entry is over"

// performCache performs a command on the cache.
func (s *state) performCache(c command) (r result) {
	e, now := s.cache[c.Key], c.Cache.Now
	switch c.Op {
	case opCacheGet, opCacheGrant:
		switch {
		case e.shown(now):
			return result{Value: e.Value}
		case e.held(now) && c.Op == opCacheGet:
			if e.Since.Term >= now.Term {
				return result{}
			}
			e.Since = now
		default:
			s.leases++
			token := s.leases
			e = cacheEntry{Token: token, Since: now, Lasts: lastsFor(c.Cache.For)}
			r.Token = &token
		}
	case opCacheFill, opCachePut:
		if e.Token != c.Cache.Token && c.Op == opCacheFill {
			return result{Refused: refusedLease}
		}
		e = cacheEntry{Value: &c.Value, Filled: now, Lives: shownFor(c.Cache.For)}
		if c.At != 0 {
			e.Ends = c.At + c.Cache.For
		}
	case opCacheInvalidate:
		e = cacheEntry{}
	case opCacheRemove:
		e = cacheEntry{Token: e.Token, Since: e.Since, Lasts: e.Lasts}
	}
	s.setCache(c.Key, e)
	return r
}

func (s *state) setCache(key string, e cacheEntry) {
	if old, there := s.cache[key]; there {
		s.sum -= cacheFact(key, old)
	}
	if e == (cacheEntry{}) {
		delete(s.cache, key)
		return
	}
	s.cache[key] = e
	s.sum += cacheFact(key, e)
}

func cacheFact(key string, e cacheEntry) uint64 {
	var set, value uint64
	if e.Value != nil {
		set, value = 1, uint64(*e.Value)
	}
	return fact('e', key, set, value, e.Filled.Term, uint64(e.Filled.At), uint64(e.Lives), uint64(e.Ends),
		uint64(e.Token), e.Since.Term, uint64(e.Since.At), uint64(e.Lasts))
}
