package raftnode

import (
	"testing"
	"time"
)

// lookup is a get from the cache; token is what its lease is called.
func (c *testCluster) lookup(n *testNode, client string) (value, token *int64, f *Failure) {
	c.seq++
	r, f := c.post(n, PathCacheGet, Request{Key: "k", Client: client, Seq: c.seq, Cached: &Cached{Lease: int64(time.Second)}})
	if r.Cached != nil {
		token = r.Cached.Token
	}
	return r.Value, token, f
}

func (c *testCluster) fill(n *testNode, token, v int64, ttl time.Duration) *Failure {
	c.seq++
	_, f := c.post(n, PathCacheFill, Request{Key: "k", Value: v, Client: "filler", Seq: c.seq, Cached: &Cached{Token: &token, TTL: int64(ttl)}})
	return f
}

// filled is a cluster whose cache has the entry 5 for so long.
func filled(t *testing.T, bug Bug, ttl time.Duration) *testCluster {
	t.Helper()
	c := startCluster(t, 3, withBug(bug))
	c.must(PathCounterAdd, Request{Key: "a", Client: "auto"})
	l := c.leader()
	_, token, f := c.lookup(l, "a")
	if f != nil || token == nil {
		t.Fatalf("no lease: %v", f)
	}
	if f := c.fill(l, *token, 5, ttl); f != nil {
		t.Fatal(f)
	}
	c.agree()
	return c
}

func TestCache(t *testing.T) {
	virtually(t, func(t *testing.T) {
		c := filled(t, "", 600*time.Millisecond)
		l := c.leader()
		if v, _, f := c.lookup(l, "a"); f != nil || !equal(v, num(5)) {
			t.Errorf("the entry is %s (%v)", show(v), f)
		}
		time.Sleep(600 * time.Millisecond)
		v, token, f := c.lookup(l, "a")
		if v != nil || token == nil || f != nil {
			t.Fatalf("after its end the entry is %s (%v)", show(v), f)
		}
		if v, other, f := c.lookup(l, "b"); v != nil || other != nil || f != nil {
			t.Errorf("two have the lease: %s (%v)", show(other), f)
		}
		c.must(PathCacheInvalidate, Request{Key: "k", Client: "auto"})
		if f := c.fill(l, *token, 6, time.Second); f == nil || f.Happened != DidNotHappen || f.Reason != string(refusedLease) {
			t.Errorf("filled by a lease that an invalidation has ended: %v", f)
		}
		_, first, _ := c.lookup(l, "a")
		time.Sleep(1300 * time.Millisecond)
		_, second, _ := c.lookup(l, "b")
		if first == nil || second == nil || *second <= *first {
			t.Fatalf("after the lease %s somebody gets %s", show(first), show(second))
		}
		if f := c.fill(l, *first, 6, time.Second); f == nil {
			t.Error("filled by the lease before")
		}
		if f := c.fill(l, *second, 7, time.Second); f != nil {
			t.Error(f)
		}
		c.agree()
		if _, f := c.post(l, PathCacheFill, Request{Key: "k", Client: "x", Seq: 1}); f == nil {
			t.Error("filled without the token of a lease")
		}
	})
}

// A new leader knows nothing of how much time has passed.
func TestCacheOfAnotherLeader(t *testing.T) {
	for _, bug := range []Bug{"", RestartedTTL} {
		t.Run(string(bug), func(t *testing.T) {
			virtually(t, func(t *testing.T) {
				c := filled(t, bug, time.Hour)
				old := c.leader()
				c.isolate(old)
				c.must(PathCounterAdd, Request{Key: "a", Client: "auto"})
				l := c.leader()
				v, token, f := c.lookup(l, "a")
				if kept := v != nil; f != nil || kept != (bug != "") {
					t.Errorf("the next leader shows %s (%v)", show(v), f)
				}
				if bug != "" {
					return
				}
				if token == nil {
					t.Fatal("no lease")
				}
				c.join(old)
				c.isolate(l)
				c.must(PathCounterAdd, Request{Key: "a", Client: "auto"})
				third := c.leader()
				if v, other, f := c.lookup(third, "b"); v != nil || other != nil || f != nil {
					t.Errorf("a lease of another leader is forgotten: %s (%v)", show(other), f)
				}
				time.Sleep(1300 * time.Millisecond)
				if _, other, f := c.lookup(third, "b"); other == nil || f != nil {
					t.Errorf("a lease of another leader lasts for ever (%v)", f)
				}
			})
		})
	}
}

func TestBugsOfCache(t *testing.T) {
	t.Parallel()
	bothWays(t, FillWithoutLease, func(t *testing.T, bug Bug) {
		c := startCluster(t, 1, withBug(bug))
		c.must(PathCounterAdd, Request{Key: "a", Client: "auto"})
		_, first, _ := c.lookup(c.nodes[0], "a")
		_, second, _ := c.lookup(c.nodes[0], "b")
		if first == nil || (second != nil) != (bug != "") {
			t.Errorf("two were given the leases %s and %s", show(first), show(second))
		}
	})
	bothWays(t, LateFill, func(t *testing.T, bug Bug) {
		c := startCluster(t, 1, withBug(bug))
		c.must(PathCounterAdd, Request{Key: "a", Client: "auto"})
		_, token, _ := c.lookup(c.nodes[0], "a")
		c.must(PathCacheInvalidate, Request{Key: "k", Client: "auto"})
		if f := c.fill(c.nodes[0], *token, 5, time.Second); (f == nil) != (bug != "") {
			t.Errorf("filled after an invalidation: %v", f)
		}
	})
	bothWays(t, CacheFollower, func(t *testing.T, bug Bug) {
		c := filled(t, bug, time.Hour)
		f := c.follower()
		c.isolate(f)
		if v, _, _ := c.lookup(f, "a"); (v != nil) != (bug != "") {
			t.Errorf("a follower that is cut off answered %s", show(v))
		}
	})
	bothWays(t, CacheWallClock, func(t *testing.T, bug Bug) {
		c := filled(t, bug, time.Hour)
		l := c.leader()
		e := cacheEntry{}
		l.fsm.view(func(s *state) { e = s.cache["k"] })
		if (e.Ends != 0) != (bug != "") {
			t.Errorf("the end by the wall clock is %d", e.Ends)
		}
		if past := (stamp{e.Filled.Term, e.Filled.At + e.Lives}); e.shown(past) || l.revived(e, past) != (bug != "") {
			t.Error("it is shown when it has lived its time")
		}
	})
}
