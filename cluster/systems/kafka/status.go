package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"coup/cluster"
	"coup/harness"
)

// Tells implements cluster.Informer.
func (System) Tells() harness.Facts { return harness.Facts{harness.Leader, harness.Term} }

// ask asks a node for what it knows of the cluster and the topic.
func ask(ctx context.Context, a cluster.Access, node string) (*kmsg.MetadataResponse, error) {
	c, err := dial(a, node)
	if err != nil {
		return nil, err
	}
	defer c.end()
	return c.metadata(ctx)
}

// Status implements cluster.Informer: who leads the first partition, as the node itself
// takes it. The term is the epoch of that leader plus one, as epochs begin with 0.
func (System) Status(ctx context.Context, a cluster.Access, node string) (cluster.Status, error) {
	m, err := ask(ctx, a, node)
	if err != nil {
		return cluster.Status{}, fmt.Errorf("status of %s: %w", node, err)
	}
	s := cluster.Status{Node: node, Role: "follower"}
	for _, p := range m.Topics[0].Partitions {
		if p.Partition == 0 && p.Leader >= 0 {
			s.Leader, s.Term = nameOf(p.Leader, a.Nodes()), uint64(p.LeaderEpoch)+1
		}
	}
	if s.Leader == node {
		s.Role = "leader"
	}
	return s, nil
}

// Ready implements cluster.Readiness: every broker knows of all others; and once there is the
// topic, all its replicas are in sync, so that any one can be lost.
func (System) Ready(ctx context.Context, a cluster.Access, _ cluster.Options) error {
	for _, n := range a.Nodes() {
		m, err := ask(ctx, a, n.Name)
		if err != nil {
			return fmt.Errorf("%s: %w", n.Name, err)
		}
		if len(m.Brokers) != len(a.Nodes()) {
			return fmt.Errorf("%s knows of %d brokers", n.Name, len(m.Brokers))
		}
		for _, p := range m.Topics[0].Partitions {
			if p.Leader < 0 || len(p.ISR) != len(p.Replicas) {
				return fmt.Errorf("%s: partition %d has the leader %d, and %d of %d replicas are in sync", n.Name, p.Partition, p.Leader, len(p.ISR), len(p.Replicas))
			}
		}
	}
	return nil
}

// Init implements cluster.Initializer: it creates the topic, and sees that all know of it.
func (System) Init(ctx context.Context, a cluster.Access, o cluster.Options) error {
	c, err := dial(a, a.Nodes()[0].Name)
	if err != nil {
		return err
	}
	defer c.end()
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic, -1, -1
	for p := range int32(partitions) {
		of := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
		of.Partition = p
		for i := range min(len(a.Nodes()), 3) {
			of.Replicas = append(of.Replicas, int32(i+1))
		}
		t.ReplicaAssignment = append(t.ReplicaAssignment, of)
	}
	for name, value := range map[string]string{"min.insync.replicas": setting(o, "min-isr"), "unclean.leader.election.enable": setting(o, "unclean")} {
		config := kmsg.NewCreateTopicsRequestTopicConfig()
		config.Name, config.Value = name, kmsg.StringPtr(value)
		t.Configs = append(t.Configs, config)
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis, req.Topics = 5000, append(req.Topics, t)
	answer, err := req.RequestWith(ctx, c.Client)
	if err != nil {
		return fmt.Errorf("create the topic: %w", err)
	}
	for _, t := range answer.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("create the topic: %w", err)
		}
	}
	for _, n := range a.Nodes() {
		for {
			m, err := ask(ctx, a, n.Name)
			if err == nil {
				err = kerr.ErrorForCode(m.Topics[0].ErrorCode)
			}
			if err == nil && len(m.Topics[0].Partitions) == partitions {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s does not know the topic yet (%v)", n.Name, err)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	return nil
}
