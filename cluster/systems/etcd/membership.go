package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"coup/cluster"
	"coup/harness"
)

// CanSetMember implements cluster.Membership. An image of etcd's own lacks the keeper.
func (System) CanSetMember(o cluster.Options) error {
	if o.Image != "" {
		return errors.New("a member of etcd that was removed can only come back in an image that coup has built: leave out --image")
	}
	return nil
}

// refusals are the errors with which etcd refuses a change of members, before it proposes
// it or when it is applied. Read in etcd's source, in 3.5, 3.6 and 3.7: AddMember,
// RemoveMember, promoteMember, ValidateConfigurationChange.
var refusals = []error{
	rpctypes.ErrMemberNotEnoughStarted, rpctypes.ErrUnhealthy, rpctypes.ErrMemberLearnerNotReady, rpctypes.ErrTooManyLearners,
	rpctypes.ErrMemberNotFound, rpctypes.ErrMemberExist, rpctypes.ErrPeerURLExist, rpctypes.ErrMemberNotLearner,
}

// SetMember implements cluster.Membership. A node becomes a member as a learner, which
// etcd promotes when it has the log. A voter that is to lose its vote is removed, and
// added as a learner: etcd knows no other way.
func (System) SetMember(ctx context.Context, a cluster.Access, leader, node string, as cluster.Suffrage) (cluster.Members, error) {
	l, err := dial(a, leader)
	if err != nil {
		return cluster.Members{}, err
	}
	defer l.Close()
	if err := l.ready(ctx); err != nil {
		return cluster.Members{}, err
	}
	c := change{link: l, nodes: map[string]string{}}
	for _, n := range a.Nodes() {
		c.nodes[peerURL(n)] = n.Name
		if n.Name == node {
			c.url = peerURL(n)
		}
	}
	if err := c.to(ctx, as); err != nil {
		return cluster.Members{}, c.explain(leader, err)
	}
	return c.members(), nil
}

// change is a change of one node's membership.
type change struct {
	*link
	url   string            // of the node
	nodes map[string]string // names by URL: a member that has not started yet has none
	all   []*pb.Member      // as they were told the last time
	begun bool              // a change was asked for, and not refused
}

// member is the node's member, nil if there is none.
func (c *change) member() *pb.Member {
	for _, m := range c.all {
		if slices.Contains(m.PeerURLs, c.url) {
			return m
		}
	}
	return nil
}

// look asks for the members.
func (c *change) look(ctx context.Context) error {
	r, err := c.MemberList(ctx)
	if err == nil {
		c.all = r.Members
	}
	return err
}

// asked takes the outcome of a request for a change.
func (c *change) asked(all []*pb.Member, err error) error {
	if err == nil {
		c.begun, c.all = true, all
	} else if !didNotHappen(err) && !slices.ContainsFunc(refusals, func(r error) bool { return errors.Is(rpctypes.Error(err), r) }) {
		c.begun = true
	}
	return err
}

// to makes the node what as says, step by step.
func (c *change) to(ctx context.Context, as cluster.Suffrage) error {
	if err := c.look(ctx); err != nil {
		return err
	}
	if m := c.member(); m != nil && (as == cluster.Absent || as == cluster.Nonvoter && !m.IsLearner) {
		r, err := c.MemberRemove(ctx, m.ID)
		if err := c.asked((*pb.MemberRemoveResponse)(r).GetMembers(), err); err != nil {
			return err
		}
	}
	if c.member() == nil && as != cluster.Absent {
		r, err := c.MemberAddAsLearner(ctx, []string{c.url})
		if err := c.asked((*pb.MemberAddResponse)(r).GetMembers(), err); err != nil {
			return err
		}
	}
	// It has a name when it has started, and that every voter has one by the word of
	// every peer is what the keeper relies on.
	for as == cluster.Voter {
		m := c.member()
		if m == nil || !m.IsLearner {
			break
		}
		if m.Name != "" {
			r, err := c.MemberPromote(ctx, m.ID)
			if err = c.asked((*pb.MemberPromoteResponse)(r).GetMembers(), err); err == nil {
				break
			} else if !errors.Is(rpctypes.Error(err), rpctypes.ErrMemberLearnerNotReady) {
				return err
			}
		}
		select {
		case <-ctx.Done():
			c.begun = true
			return fmt.Errorf("the learner has not caught up: %w", ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
		if err := c.look(ctx); err != nil {
			return err
		}
	}
	return nil
}

// explain says whether anything was done.
func (c *change) explain(leader string, err error) error {
	if !c.begun {
		return fmt.Errorf("%w: %s: %w", harness.ErrFail, leader, err)
	}
	return fmt.Errorf("%w: %s: %w", cluster.ErrPending, leader, err)
}

// members are the members by the names of the nodes.
func (c *change) members() (m cluster.Members) {
	for _, one := range c.all {
		for _, url := range one.PeerURLs {
			if one.IsLearner {
				m.Nonvoters = append(m.Nonvoters, c.nodes[url])
			} else {
				m.Voters = append(m.Voters, c.nodes[url])
			}
		}
	}
	slices.Sort(m.Voters)
	slices.Sort(m.Nonvoters)
	return m
}
