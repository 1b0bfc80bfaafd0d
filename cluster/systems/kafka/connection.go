package kafka

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"coup/cluster"
	"coup/harness"
)

// client is a client of the cluster that got to know it at one node.
type client struct {
	*kgo.Client
	access cluster.Access
	id     [16]byte // of the topic

	mu       sync.Mutex
	shut     bool  // nothing is sent any more
	produced bool  // a request with records was sent, since it was set back
	leader   int32 // the broker that has answered such a request last
}

// sender is a connection of a client. The client sends a request with records again by
// itself, and says in the end only that it failed. A sender knows whether anything was sent.
type sender struct {
	net.Conn
	c *client
}

var errShut = errors.New("the client is closed")

// produceKey is the number of the request that writes records.
const produceKey = int16(kmsg.Produce)

// Write implements net.Conn. A request begins with its length and its number.
func (s sender) Write(b []byte) (int, error) {
	s.c.mu.Lock()
	shut := s.c.shut
	if !shut && (len(b) < 6 || int16(binary.BigEndian.Uint16(b[4:])) == produceKey) {
		s.c.produced = true
	}
	s.c.mu.Unlock()
	if shut {
		return 0, errShut
	}
	return s.Conn.Write(b)
}

// OnBrokerE2E implements kgo.HookBrokerE2E.
func (c *client) OnBrokerE2E(from kgo.BrokerMetadata, key int16, _ kgo.BrokerE2E) {
	if key == produceKey {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.leader = from.NodeID
	}
}

// end closes the client, and reports whether it has sent records since produced was set back.
func (c *client) end() (produced bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.shut {
		c.shut = true
		go c.Client.Close() // which may wait for what it will not get
	}
	return c.produced
}

// dial makes a client, which connects when it is used.
func dial(a cluster.Access, node string, opts ...kgo.Opt) (*client, error) {
	c := &client{access: a, leader: -1}
	var err error
	c.Client, err = kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(net.JoinHostPort(hostOf(a, node), strconv.Itoa(clientPort))), kgo.WithHooks(c),
		kgo.Dialer(func(ctx context.Context, _, address string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
			defer cancel()
			conn, err := a.DialAddress(ctx, address)
			if err != nil {
				return nil, err
			}
			return sender{conn, c}, nil
		}),
		kgo.MetadataMinAge(100 * time.Millisecond), kgo.MetadataMaxAge(2 * time.Second), kgo.DisableClientMetrics(),
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }), kgo.RequestTimeoutOverhead(time.Second), kgo.RetryTimeout(5 * time.Second),
	}, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", harness.ErrFail, err)
	}
	return c, nil
}

func hostOf(a cluster.Access, node string) string {
	for _, n := range a.Nodes() {
		if n.Name == node {
			return n.Host
		}
	}
	return node // which no node's address is
}

// metadata is what the node at which the client got to know the cluster says of the
// topic, without asking others.
func (c *client) metadata(ctx context.Context) (*kmsg.MetadataResponse, error) {
	req := kmsg.NewPtrMetadataRequest()
	of := kmsg.NewMetadataRequestTopic()
	of.Topic = kmsg.StringPtr(topic)
	req.Topics = append(req.Topics, of)
	answer, err := c.SeedBrokers()[0].Request(ctx, req)
	if err != nil {
		return nil, err
	}
	m := answer.(*kmsg.MetadataResponse)
	if len(m.Topics) != 1 {
		return nil, errors.New("it says nothing of the topic")
	}
	return m, nil
}

// fetch reads the records of a partition from one offset up to another, from the broker
// leader; to is -1 for all that there is. committed: only those of transactions that were committed.
func (c *client) fetch(ctx context.Context, leader, partition int32, from, to int64, committed bool) (all []*kgo.Record, err error) {
	var isolation kgo.IsolationLevel
	for to < 0 || from < to {
		req := kmsg.NewPtrFetchRequest()
		if committed {
			isolation, req.IsolationLevel = kgo.ReadCommitted(), 1
		}
		req.MaxWaitMillis, req.MinBytes, req.MaxBytes = 50, 1, 1<<20
		if to < 0 {
			req.MinBytes = 0
		}
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes = partition, from, 1<<20
		t := kmsg.NewFetchRequestTopic()
		t.Topic, t.TopicID, t.Partitions = topic, c.id, append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
		answer, err := c.Broker(int(leader)).Request(ctx, req)
		if err != nil {
			return nil, err
		}
		got := answer.(*kmsg.FetchResponse)
		if err := kerr.ErrorForCode(got.ErrorCode); err != nil {
			return nil, err
		}
		if len(got.Topics) != 1 || len(got.Topics[0].Partitions) != 1 {
			return nil, errors.New("it says nothing of the partition")
		}
		records, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Offset: from, Topic: topic, Partition: partition, IsolationLevel: isolation}, &got.Topics[0].Partitions[0], kgo.DefaultDecompressor(), nil)
		if records.Err != nil {
			return nil, records.Err
		}
		if to < 0 {
			to = records.HighWatermark
			if committed {
				to = records.LastStableOffset
			}
		}
		all = append(all, records.Records...)
		from = max(from, next)
	}
	return all, nil
}

// connection is a client that gets to know the cluster at its own node. It implements the
// operations of package cluster.
type connection struct {
	access     cluster.Access
	home, node string
	o          cluster.Options
	// transactions: each record is written in a transaction of its own, and reads see what was committed.
	transactions bool
	name         string  // unique within the cluster
	client       *client // nil: not connected
	member       *member // nil: it has not consumed yet
	// ends are the ends of partitions that were marked for the operation with the context asked: they are as
	// good for all that it reads.
	asked context.Context
	ends  map[int32]end
}

// end is the offset after a record that marks the end of a partition, and the broker that has it.
type end struct {
	to     int64
	leader int32
}

// Open implements cluster.System. The connection is made when it is used.
func (System) Open(a cluster.Access, node string, o cluster.Options) (cluster.Conn, error) {
	return &connection{access: a, home: node, node: node, o: o, transactions: setting(o, "transactions") == "true", name: "coup-" + rand.Text()}, nil
}

// Node implements cluster.Conn.
func (c *connection) Node() string { return c.node }

// Close implements cluster.Conn.
func (c *connection) Close() error {
	c.drop()
	if c.member != nil {
		c.member.leave()
		c.member = nil
	}
	return nil
}

func (c *connection) drop() (produced bool) {
	if c.client != nil {
		produced = c.client.end()
		c.client = nil
	}
	c.node = c.home
	return produced
}

// connect makes a client, if there is none. With acks=all the client is idempotent: it sends again
// what nobody has answered, and the leader sees that it has it. With acks=1 there is no such
// thing, and nothing is sent twice. With transactions, a new client of the same name ends those of the old one.
func (c *connection) connect(ctx context.Context) error {
	if c.client != nil {
		return nil
	}
	opts := []kgo.Opt{
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0), kgo.ProduceRequestTimeout(time.Second), kgo.ProducerBatchCompression(kgo.NoCompression()),
	}
	switch {
	case c.transactions:
		opts = append(opts, kgo.TransactionalID(c.name), kgo.TransactionTimeout(transactionTimeout))
	case setting(c.o, "acks") != "all":
		opts = append(opts, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite(), kgo.RecordRetries(0))
	}
	made, err := dial(c.access, c.home, opts...)
	if err != nil {
		return err
	}
	m, err := made.metadata(ctx)
	if err == nil {
		err = kerr.ErrorForCode(m.Topics[0].ErrorCode)
	}
	if err != nil {
		made.end()
		return fmt.Errorf("%w: connect to %s: %w", harness.ErrFail, c.home, err)
	}
	made.id, c.client = m.Topics[0].TopicID, made
	return nil
}

// partitionOf is the partition of an object.
func partitionOf(key string) int32 {
	h := fnv.New32a()
	h.Write([]byte(key))
	return int32(h.Sum32() % partitions)
}

// produce writes a record and returns its offset. Its error wraps harness.ErrFail if the
// record was never sent, or if nobody was asked to commit its transaction.
func (c *connection) produce(ctx context.Context, key, value string) (offset int64, err error) {
	if err := c.connect(ctx); err != nil {
		return 0, err
	}
	k := c.client
	k.mu.Lock()
	k.produced = false
	k.mu.Unlock()
	if c.transactions {
		if err := k.BeginTransaction(); err != nil {
			c.drop()
			return 0, fmt.Errorf("%w: begin a transaction: %w", harness.ErrFail, err)
		}
	}
	type outcome struct {
		offset int64
		err    error
	}
	done := make(chan outcome, 1)
	wait := func() (got outcome) {
		select {
		case got = <-done:
		case <-ctx.Done():
			got.err = ctx.Err()
		}
		return got
	}
	k.Produce(ctx, &kgo.Record{Topic: topic, Partition: partitionOf(key), Key: []byte(key), Value: []byte(value)}, func(r *kgo.Record, err error) { done <- outcome{r.Offset, err} })
	got := wait()
	if got.err != nil {
		switch sent := c.drop(); {
		case !sent:
			return 0, fmt.Errorf("%w: nothing was sent: %w", harness.ErrFail, got.err)
		case c.transactions:
			return 0, fmt.Errorf("%w: nothing was committed: %w", harness.ErrFail, got.err)
		}
		return 0, got.err
	}
	if c.transactions {
		go func() { done <- outcome{err: k.EndTransaction(ctx, kgo.TryCommit)} }()
		if err := wait().err; err != nil {
			c.drop()
			return 0, fmt.Errorf("commit: %w", err)
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	c.node = nameOf(k.leader, c.access.Nodes())
	return got.offset, nil
}

// read returns the records of an object from an offset on, and the offset after the last
// one that was looked at.
func (c *connection) read(ctx context.Context, key string, from int64) (messages []cluster.Message, next int64, err error) {
	to, leader := int64(-1), int32(-1)
	if c.o.Reads == stale {
		if err := c.connect(ctx); err != nil {
			return nil, 0, err
		}
		m, err := c.client.metadata(ctx)
		if err != nil {
			return nil, 0, c.unread(err)
		}
		for _, p := range m.Topics[0].Partitions {
			if p.Partition == partitionOf(key) {
				leader = p.Leader
			}
		}
	} else {
		marked, err := c.mark(ctx, key)
		if err != nil {
			return nil, 0, err
		}
		if to, leader = marked.to, marked.leader; from > to { // what was read before is gone
			from = 0
		}
	}
	all, err := c.client.fetch(ctx, leader, partitionOf(key), from, to, c.transactions)
	if err != nil {
		return nil, 0, c.unread(err)
	}
	c.node = nameOf(leader, c.access.Nodes())
	next = max(from, to)
	for _, r := range all {
		if to >= 0 && r.Offset >= to {
			continue // others have come meanwhile
		}
		next = max(next, r.Offset+1)
		if string(r.Key) != key || len(r.Value) == 0 {
			continue
		}
		v, err := strconv.ParseInt(string(r.Value), 10, 64)
		if err != nil {
			return nil, 0, fmt.Errorf("%w: the record at %d: %w", harness.ErrFail, r.Offset, err)
		}
		messages = append(messages, cluster.Message{Offset: &r.Offset, Value: v})
	}
	return messages, next, nil
}

// mark writes a record that marks the end of the partition of an object: whoever has it
// has all that were acknowledged before.
func (c *connection) mark(ctx context.Context, key string) (end, error) {
	if c.asked != ctx {
		c.asked, c.ends = ctx, map[int32]end{}
	}
	marked, ok := c.ends[partitionOf(key)]
	if ok && c.client != nil {
		return marked, nil
	}
	offset, err := c.produce(ctx, key, "")
	if err != nil {
		return end{}, fmt.Errorf("%w: a record that marks the end: %w", harness.ErrFail, err)
	}
	c.client.mu.Lock()
	defer c.client.mu.Unlock()
	marked = end{offset + 1, c.client.leader}
	c.ends[partitionOf(key)] = marked
	return marked, nil
}

// unread is the error of a read, which leaves no trace.
func (c *connection) unread(err error) error {
	c.drop()
	return fmt.Errorf("%w: %w", harness.ErrFail, err)
}
