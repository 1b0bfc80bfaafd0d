package raftnode

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/hashicorp/raft"
)

// PathMember answers a POST of a [MemberRequest] with [Members]. Only the leader
// does; everybody else fails and names it.
const PathMember = "/admin/member"

// What a node can be in the configuration of the cluster.
const (
	Voter    = "voter"
	Nonvoter = "nonvoter" // has the log, but no vote
	Absent   = "absent"   // no member
)

// MemberRequest asks for a change of a member.
type MemberRequest struct {
	Node string `json:"node"` // one of the peers
	As   string `json:"as"`   // Voter, Nonvoter or Absent
	// Timeout is how long the node may take, in milliseconds; 0 is 5 s.
	Timeout int64 `json:"timeout_ms,omitempty"`
}

// Members are the members of the cluster as its leader has committed them, by
// name.
type Members struct {
	Voters    []string `json:"voters"`
	Nonvoters []string `json:"nonvoters,omitempty"`
}

func (n *Node) serveMember(w http.ResponseWriter, r *http.Request) {
	var req MemberRequest
	ctx, done, f := n.admin(w, r, &req, &req.Timeout)
	if f == nil {
		defer done()
		if !slices.Contains([]string{Voter, Nonvoter, Absent}, req.As) {
			f = didNotHappen("bad request: as is none of voter, nonvoter, absent")
		}
	}
	var m Members
	if f == nil {
		m, f = n.setMember(ctx, req.Node, req.As)
	}
	reply(w, m, f)
}

// setMember makes a peer a voter, a non-voter or no member, and returns when the change
// is committed. If the peer is that already, nothing is changed.
func (n *Node) setMember(ctx context.Context, name, as string) (Members, *Failure) {
	i := slices.IndexFunc(n.cfg.Peers, func(p Peer) bool { return p.Name == name })
	if i < 0 {
		return Members{}, didNotHappen("no peer is called " + name)
	}
	c, f := n.committedConfiguration(ctx)
	if f != nil {
		return Members{}, f
	}
	id, now := raft.ServerID(name), suffrage(c, name)
	if now == as {
		return members(c), nil
	}
	left := untilDeadline(ctx)
	var change raft.IndexFuture
	switch {
	case as == Voter:
		change = n.raft.AddVoter(id, raft.ServerAddress(n.cfg.Peers[i].Addr), 0, left)
	case as == Absent:
		change = n.raft.RemoveServer(id, 0, left)
	case now == Absent:
		change = n.raft.AddNonvoter(id, raft.ServerAddress(n.cfg.Peers[i].Addr), 0, left)
	default:
		change = n.raft.DemoteVoter(id, 0, left)
	}
	if err := await(ctx, change); err != nil {
		if err == ctx.Err() || change.Index() > 0 {
			return Members{}, mayHaveHappened(err.Error())
		}
		return Members{}, didNotHappen(err.Error()) // without an index, the change never entered the log
	}
	// A leader that has removed itself knows this best, and leads no more.
	return members(n.configuration()), nil
}

// committedConfiguration is the configuration, if it is committed: an entry behind
// it is. (raft's own Barrier would do as well, but the state machine would not
// hear of it, and a read would wait for it forever.)
func (n *Node) committedConfiguration(ctx context.Context) (raft.Configuration, *Failure) {
	before := n.configuration()
	if _, f := n.propose(ctx, command{Op: opNoop}); f != nil {
		return before, didNotHappen("the configuration is not confirmed: " + f.Reason)
	}
	if c := n.configuration(); !slices.Equal(c.Servers, before.Servers) {
		return before, didNotHappen("the configuration is being changed")
	}
	return before, nil
}

// configuration is the newest one in the node's log, committed or not: the one
// that raft goes by.
func (n *Node) configuration() raft.Configuration {
	c := n.raft.GetConfiguration()
	if c.Error() != nil {
		return raft.Configuration{} // raft has ended
	}
	return c.Configuration()
}

// majority reports whether the voters for which has is true are a majority, together
// with this node if it is a voter itself.
func (n *Node) majority(has func(raft.ServerID) bool) bool {
	voters, got := 0, 0
	for _, s := range n.configuration().Servers {
		if s.Suffrage != raft.Voter {
			continue
		}
		voters++
		if s.ID == raft.ServerID(n.cfg.ID) || has(s.ID) {
			got++
		}
	}
	return got > voters/2
}

func suffrage(c raft.Configuration, name string) string {
	for _, s := range c.Servers {
		switch {
		case string(s.ID) != name:
		case s.Suffrage == raft.Voter:
			return Voter
		default:
			return Nonvoter
		}
	}
	return Absent
}

func members(c raft.Configuration) (m Members) {
	for _, s := range c.Servers {
		if s.Suffrage == raft.Voter {
			m.Voters = append(m.Voters, string(s.ID))
		} else {
			m.Nonvoters = append(m.Nonvoters, string(s.ID))
		}
	}
	slices.Sort(m.Voters)
	slices.Sort(m.Nonvoters)
	return m
}

// admin reads a request of an operator and returns its context; done ends it.
// Only a leader goes on.
func (n *Node) admin(w http.ResponseWriter, r *http.Request, req any, timeout *int64) (ctx context.Context, done func(), f *Failure) {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(req); err != nil {
		return nil, nil, didNotHappen("bad request: " + err.Error())
	}
	if *timeout < 0 {
		return nil, nil, didNotHappen("bad request: timeout_ms is negative")
	}
	if leader, self := n.leader(); !self {
		return nil, nil, &Failure{Reason: "not the leader", Happened: DidNotHappen, Leader: leader}
	}
	ctx, done = context.WithTimeout(n.ctx, patience(*timeout))
	return ctx, done, nil
}

// await waits until raft has done something, or ctx ends. Then nobody knows whether it
// will still be done.
func await(ctx context.Context, f raft.Future) error {
	done := make(chan error, 1)
	go func() { done <- f.Error() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
