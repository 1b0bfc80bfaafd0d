package raftnode

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

// admin asks a node as an operator does; the answer is decoded into resp.
func (c *testCluster) admin(n *testNode, path string, req, resp any) *Failure {
	c.t.Helper()
	body, err := json.Marshal(req)
	if err != nil {
		c.t.Fatal(err)
	}
	r, err := c.client.Post("http://"+n.peer.Client+path, "application/json", bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode == http.StatusOK {
		if err := json.NewDecoder(r.Body).Decode(resp); err != nil {
			c.t.Fatal(err)
		}
		return nil
	}
	_, f := DecodeAnswer(r.StatusCode, r.Body)
	return f
}

// member asks the leader, again and again, until the node has that suffrage.
func (c *testCluster) member(n *testNode, as string) (m Members) {
	c.t.Helper()
	eventually(c.t, n.peer.Name+" is "+as, func() bool {
		m = Members{}
		return c.admin(c.leader(), PathMember, MemberRequest{Node: n.peer.Name, As: as}, &m) == nil
	})
	return m
}

func (c *testCluster) write(n int) {
	c.t.Helper()
	for range n {
		c.must(PathCounterAdd, Request{Key: "c", Value: 1, Client: "auto"})
	}
}

func TestMembersComeAndGo(t *testing.T) {
	virtually(t, func(t *testing.T) {
		c := startCluster(t, 3, nil)
		n := c.follower()
		others := []string{}
		for _, m := range c.nodes {
			if m != n {
				others = append(others, m.peer.Name)
			}
		}
		c.write(1)
		if got, want := c.member(n, Nonvoter), (Members{others, []string{n.peer.Name}}); !reflect.DeepEqual(got, want) {
			t.Errorf("without its vote: %+v, want %+v", got, want)
		}
		c.write(5)
		c.agree() // it still has the log
		if got, want := c.member(n, Absent), (Members{Voters: others}); !reflect.DeepEqual(got, want) {
			t.Errorf("without the node: %+v, want %+v", got, want)
		}
		if got := c.member(n, Absent); !reflect.DeepEqual(got, Members{Voters: others}) {
			t.Errorf("removed twice: %+v", got)
		}
		// So much is written that only a snapshot brings it back, and it does not
		// become a cluster of its own when it starts again.
		c.write(60)
		c.stop(n)
		c.start(n)
		c.write(60)
		eventually(t, "the log begins after what it has", func() bool {
			first, err := c.leader().logs.FirstIndex()
			return err == nil && first > n.Status().Last+1
		})
		if s := n.Status(); s.Role == "leader" {
			t.Errorf("%+v of a node that was removed", s)
		}
		if got, want := c.member(n, Nonvoter), (Members{others, []string{n.peer.Name}}); !reflect.DeepEqual(got, want) {
			t.Errorf("back without a vote: %+v, want %+v", got, want)
		}
		if got := c.member(n, Voter); len(got.Voters) != 3 || len(got.Nonvoters) != 0 {
			t.Errorf("back: %+v", got)
		}
		c.agree()
		if got := c.must(PathCounterRead, Request{Key: "c"}).Value; !equal(got, num(126)) {
			t.Errorf("counted to %s, want 126", show(got))
		}
		eventually(t, "a snapshot brought it back", func() bool {
			return n.events.has(func(e Event) bool { return e.Kind == EventRestore })
		})
	})
}

// The leader can be removed. It then follows, and can be taken back.
func TestTheLeaderLeaves(t *testing.T) {
	virtually(t, func(t *testing.T) {
		for _, as := range []string{Absent, Nonvoter} {
			c := startCluster(t, 3, nil)
			c.write(1)
			old := c.leader()
			c.member(old, as)
			eventually(t, "another leader", func() bool { return c.leader() != old })
			c.write(1)
			if s := old.Status(); s.Role == "leader" || s.Role == "shutdown" {
				t.Errorf("%s: the old leader is a %s", as, s.Role)
			}
			c.member(old, Voter)
			c.write(1)
			c.agree()
		}
	})
}

// Who is no voter is not counted when a leader makes sure that it still leads.
func TestMajorityIsOfVoters(t *testing.T) {
	virtually(t, func(t *testing.T) {
		c := startCluster(t, 5, nil)
		l := c.leader()
		var followers []*testNode
		for _, n := range c.nodes {
			if n != l {
				followers = append(followers, n)
			}
		}
		with := func(nodes ...*testNode) bool {
			return l.majority(func(id raft.ServerID) bool {
				for _, n := range nodes {
					if n.peer.Name == string(id) {
						return true
					}
				}
				return false
			})
		}
		a, b, x, y := followers[0], followers[1], followers[2], followers[3]
		if with(a) || !with(a, b) || !with(x, y) {
			t.Error("with 5 voters, 3 are a majority")
		}
		c.member(x, Nonvoter)
		c.member(y, Absent)
		if c.leader() != l {
			t.Skip("the leader changed for a reason of its own")
		}
		if with(x, y) || with() || !with(a) || !with(b, x) {
			t.Error("with 3 voters, 2 are a majority, and others don't count")
		}
		c.member(a, Nonvoter)
		if with(a, x, y) || !with(b) {
			t.Error("with 2 voters, both are needed")
		}
	})
}

// persist tries some times, and fails with what came of it last.
func persist(t *testing.T, what string, last func() string, ok func() bool) {
	t.Helper()
	for range 10 {
		if ok() {
			return
		}
	}
	t.Fatalf("never happened: %s; at last %s", what, last())
}

func TestTransfer(t *testing.T) {
	virtually(t, func(t *testing.T) {
		c := startCluster(t, 3, nil)
		to := func(n *testNode, name string) (string, *Failure) {
			var tr Transferred
			f := c.admin(n, PathTransfer, TransferRequest{To: name}, &tr)
			return tr.Refused, f
		}
		// On a busy machine a leader may lose its lead before it is asked, or be too slow
		// to hand it over. What it says then is true, and another one is asked.
		var refused string
		var f *Failure
		never := func() string { return fmt.Sprintf("refused %q, %+v", refused, f) }
		followers := func() (leader, other *testNode) {
			leader = c.leader()
			for _, n := range c.nodes {
				if n != leader {
					other = n
				}
			}
			return leader, other
		}
		persist(t, "a follower that does not transfer, and names the leader", never, func() bool {
			leader, other := followers()
			_, f = to(other, leader.peer.Name)
			return f != nil && f.Happened == DidNotHappen && f.Leader == leader.peer.Name
		})
		var old, next *testNode
		persist(t, "a transfer that is done", never, func() bool {
			old, next = followers()
			refused, f = to(old, next.peer.Name)
			return f == nil && refused == "" && c.leader() == next
		})
		c.write(1)
		// To a dead one it is tried in vain, and the leader goes on.
		c.stop(old)
		persist(t, "a transfer to the dead that is refused", never, func() bool {
			refused, f = to(c.leader(), old.peer.Name)
			if f == nil && refused == "" {
				t.Error("the lead was handed to the dead")
			}
			return f == nil
		})
		c.write(1)
		persist(t, "a transfer to itself that is refused", never, func() bool {
			leader := c.leader()
			refused, f = to(leader, leader.peer.Name)
			if f == nil && refused == "" {
				t.Error("the lead was handed to who had it")
			}
			return f == nil && strings.Contains(refused, "itself")
		})
		c.start(old)
		c.agree()
	})
}

func TestBadAdminRequests(t *testing.T) {
	virtually(t, func(t *testing.T) {
		c := startCluster(t, 1, nil)
		c.write(1)
		for path, reqs := range map[string][]string{
			PathTransfer: {"", "{", `{"to":"n9"}`, `{"to":"n1","timeout_ms":-1}`, `{"too":"n1"}`},
			PathMember:   {"", "[]", `{"node":"n9","as":"voter"}`, `{"node":"n1","as":"king"}`, `{"node":"n1"}`, `{"node":"n1","as":"absent"}`},
		} {
			for _, body := range reqs {
				r, err := c.client.Post("http://"+c.nodes[0].peer.Client+path, "application/json", strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				_, f := DecodeAnswer(r.StatusCode, r.Body)
				r.Body.Close()
				if f == nil || f.Happened != DidNotHappen {
					t.Errorf("%s %s: %+v", path, body, f)
				}
			}
		}
		if got := fmt.Sprint(members(c.nodes[0].configuration())); got != "{[n1] []}" {
			t.Errorf("members %s", got)
		}
	})
}
