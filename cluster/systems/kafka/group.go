package kafka

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"coup/cluster"
	"coup/harness"
)

// group is the consumer group that all clients are in.
const group = "coup"

// member is a client in the group. The brokers assign each partition to one member at a time.
type member struct {
	*client
	mu  sync.Mutex
	has map[int32]*assigned // the partitions that are assigned to it
}

// assigned is a partition of a member.
type assigned struct {
	waiting []*kgo.Record // messages that were fetched and not handed out yet
	next    int64         // the offset after all that was fetched
}

// committed is the offset from which the next member goes on: nothing that was not handed
// out may be before it.
func (p *assigned) committed() int64 {
	if len(p.waiting) > 0 {
		return p.waiting[0].Offset
	}
	return p.next
}

// take takes the oldest message with a key; nil if there is none.
func (p *assigned) take(key string) *kgo.Record {
	for i, r := range p.waiting {
		if string(r.Key) == key {
			p.waiting = append(p.waiting[:i:i], p.waiting[i+1:]...)
			return r
		}
	}
	return nil
}

// queue is what the keys of messages begin with.
const queue = "queue:"

// add keeps what was fetched of a partition. Records without a value mark ends only, and
// sets and logs have records there, too.
func (p *assigned) add(records []*kgo.Record) {
	for _, r := range records {
		if p.next = r.Offset + 1; len(r.Value) > 0 && strings.HasPrefix(string(r.Key), queue) {
			p.waiting = append(p.waiting, r)
		}
	}
}

// join makes a client that joins the group as it begins to work.
func join(a cluster.Access, node string) (*member, error) {
	m := &member{has: map[int32]*assigned{}}
	lost := func(_ context.Context, _ *kgo.Client, of map[string][]int32) {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, p := range of[topic] {
			delete(m.has, p)
		}
	}
	var err error
	m.client, err = dial(a, node,
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(),
		kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(500*time.Millisecond), kgo.RebalanceTimeout(6*time.Second), kgo.FetchMaxWait(100*time.Millisecond),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), // as all records are that are in no transaction
		kgo.BlockRebalanceOnPoll(), kgo.OnPartitionsRevoked(lost), kgo.OnPartitionsLost(lost),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, of map[string][]int32) {
			m.mu.Lock()
			defer m.mu.Unlock()
			for _, p := range of[topic] {
				m.has[p] = &assigned{}
			}
		}))
	return m, err
}

// leave leaves the group, so that others need not wait until the session is over.
func (m *member) leave() {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		m.LeaveGroupContext(ctx)
		m.end()
	}()
}

// fetched fetches what there is, for a moment.
func (m *member) fetched(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	got := m.PollFetches(ctx)
	defer m.AllowRebalance()
	m.mu.Lock()
	defer m.mu.Unlock()
	got.EachPartition(func(f kgo.FetchTopicPartition) {
		if p := m.has[f.Partition]; p != nil {
			p.add(f.Records)
		}
	})
}

// take takes the oldest message with a key from a partition, and says which offset to commit
// then. done: there is one, or none is left that was before the offset end. here: the
// partition is assigned to the member.
func (m *member) take(partition int32, key string, end int64) (r *kgo.Record, commit int64, done, here bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.has[partition]
	if p == nil {
		return nil, 0, false, false
	}
	r = p.take(key)
	return r, p.committed(), r != nil || p.next >= end, true
}

var _ cluster.Messages = (*connection)(nil)

// Publish implements cluster.Messages.
func (c *connection) Publish(ctx context.Context, key string, v int64) error {
	_, err := c.produce(ctx, queue+key, strconv.FormatInt(v, 10))
	return err
}

var errElsewhere = errors.New("the partition is assigned to another member of the group")

// Consume implements cluster.Messages. It commits the offset when it has the message in
// hand; if that does not work, the message is handed out once more. That there is
// none is said by who has the partition, and has fetched a record that was written after the
// client asked.
func (c *connection) Consume(ctx context.Context, key string) (*int64, error) {
	key = queue + key
	partition, end := partitionOf(key), int64(unmarked)
	if c.member == nil {
		m, err := join(c.access, c.home)
		if err != nil {
			return nil, err
		}
		c.member = m
	}
	for looks := 0; ; looks++ {
		r, commit, done, here := c.member.take(partition, key, end)
		switch {
		case r != nil:
			return c.member.handOut(ctx, r, commit)
		case done:
			return nil, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("%w: %s: %w", harness.ErrFail, c.home, ctx.Err())
		case !here && looks > 1: // or it is about to be assigned
			return nil, fmt.Errorf("%w: %s: %w", harness.ErrFail, c.home, errElsewhere)
		case here && looks > 0 && end == unmarked:
			offset, err := c.produce(ctx, key, "")
			if err != nil {
				return nil, fmt.Errorf("%w: a record that marks the end: %w", harness.ErrFail, err)
			}
			end = offset + 1
		}
		c.member.fetched(ctx)
	}
}

// unmarked is an end that is not known yet.
const unmarked = math.MaxInt64

// handOut commits what a member has handed out.
func (m *member) handOut(ctx context.Context, r *kgo.Record, commit int64) (*int64, error) {
	v, err := strconv.ParseInt(string(r.Value), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("the record at %d: %w", r.Offset, err)
	}
	m.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{topic: {r.Partition: {Epoch: -1, Offset: commit}}}, nil)
	return &v, nil
}
