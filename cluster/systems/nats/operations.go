package nats

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"coup/cluster"
	"coup/harness"
)

var (
	_ cluster.Register = (*connection)(nil)
	_ cluster.Set      = (*connection)(nil)
	_ cluster.Queue    = (*connection)(nil)
)

// ack is what JetStream says of a message that a majority has.
type ack struct {
	Stream   string `json:"stream"`
	Sequence uint64 `json:"seq"`
}

// publish publishes a message and waits until a majority has it.
func publish(ctx context.Context, n *nats.Conn, m *nats.Msg) (ack, error) {
	var a ack
	err := request(ctx, n, m, &a)
	if err == nil && a.Sequence == 0 {
		err = fmt.Errorf("an acknowledgement without a sequence")
	}
	if err != nil {
		err = fmt.Errorf("publish %s: %w", m.Subject, err)
	}
	return a, err
}

// SetAdd implements cluster.Set.
func (c *connection) SetAdd(ctx context.Context, key string, v int64) error {
	return c.with(ctx, messages, true, func(n *nats.Conn) error {
		_, err := publish(ctx, n, nats.NewMsg(setSubject(key)+strconv.FormatInt(v, 10)))
		return err
	})
}

// SetRead implements cluster.Set.
func (c *connection) SetRead(ctx context.Context, key string) ([]int64, error) {
	prefix := setSubject(key)
	subjects, err := c.settled(ctx, prefix+">", c.o.Reads == "" || c.o.Reads == linearizable)
	if err != nil {
		return nil, err
	}
	var all []int64
	for s := range subjects {
		v, err := strconv.ParseInt(strings.TrimPrefix(s, prefix), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%w: subject %s: %w", harness.ErrFail, s, err)
		}
		all = append(all, v)
	}
	slices.Sort(all)
	return all, nil
}

// settled returns the subjects of the stream that match a filter, with how many messages
// each has. If confirmed, the read is linearizable: first a message is published, and then
// the stream's leader is asked until it has that message, and with it all that was
// acknowledged before. A leader that was replaced and does not know it lacks it.
func (c *connection) settled(ctx context.Context, filter string, confirmed bool) (subjects map[string]uint64, err error) {
	var info struct {
		State struct {
			Last     uint64            `json:"last_seq"`
			Subjects map[string]uint64 `json:"subjects"`
		} `json:"state"`
		Total int `json:"total"`
	}
	err = c.with(ctx, messages, false, func(n *nats.Conn) error {
		var after ack
		if confirmed {
			if after, err = publish(ctx, n, nats.NewMsg("coup.reader."+token(c.client))); err != nil {
				return err
			}
		}
		for {
			// The node takes the last sequence before the subjects.
			if err := call(ctx, n, "STREAM.INFO."+messages, map[string]any{"subjects_filter": filter}, &info); err != nil {
				return err
			}
			if info.State.Last >= after.Sequence {
				break
			}
		}
		if len(info.State.Subjects) < info.Total {
			return fmt.Errorf("the stream tells %d of %d subjects", len(info.State.Subjects), info.Total)
		}
		return nil
	})
	return info.State.Subjects, err
}

// message is a message of a stream.
type message struct {
	Message struct {
		Sequence uint64 `json:"seq"`
		Header   []byte `json:"hdrs"`
		Data     []byte `json:"data"`
	} `json:"message"`
}

// Enqueue implements cluster.Queue.
func (c *connection) Enqueue(ctx context.Context, key string, v int64) error {
	return c.with(ctx, messages, true, func(n *nats.Conn) error {
		_, err := publish(ctx, n, &nats.Msg{Subject: queueSubject(key), Data: []byte(strconv.FormatInt(v, 10))})
		return err
	})
}

// Dequeue implements cluster.Queue. It deletes the oldest message, and looks again if
// another client was faster: of those that delete a message, one is told that it did.
// What a leader that was replaced takes for the oldest one is gone, or is the oldest;
// that a queue is empty has to be confirmed.
func (c *connection) Dequeue(ctx context.Context, key string) (*int64, error) {
	subject := queueSubject(key)
	for {
		var oldest message
		err := c.with(ctx, messages, false, func(n *nats.Conn) error {
			return call(ctx, n, "STREAM.MSG.GET."+messages, map[string]any{"seq": 1, "next_by_subj": subject}, &oldest)
		})
		if is(err, noMessage) {
			subjects, err := c.settled(ctx, subject, true)
			if err != nil || len(subjects) == 0 {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		v, err := strconv.ParseInt(string(oldest.Message.Data), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%w: message %d of %s: %w", harness.ErrFail, oldest.Message.Sequence, subject, err)
		}
		var deleted struct {
			Success bool `json:"success"`
		}
		err = c.with(ctx, messages, true, func(n *nats.Conn) error {
			return call(ctx, n, "STREAM.MSG.DELETE."+messages, map[string]any{"seq": oldest.Message.Sequence, "no_erase": true}, &deleted)
		})
		switch {
		case gone(err):
			continue
		case err == nil && !deleted.Success:
			err = fmt.Errorf("%s: message %d was not deleted, and nobody says why", c.home, oldest.Message.Sequence)
		}
		if err != nil {
			return nil, err
		}
		return &v, nil
	}
}

// gone reports whether a message could not be deleted because it is not there.
func gone(err error) bool {
	return is(err, noSuchSequence) || is(err, deleteFailed) && strings.Contains(err.Error(), "not found")
}

// versioned is the value of a register, nil if there is none, and its revision.
type versioned struct {
	value    *int64
	revision uint64
}

func versionedOf(data []byte, revision uint64) (versioned, error) {
	if len(data) == 0 {
		return versioned{nil, revision}, nil
	}
	v, err := strconv.ParseInt(string(data), 10, 64)
	return versioned{&v, revision}, err
}

// atLeader reads a register from the node that takes itself for the bucket's leader.
func (c *connection) atLeader(ctx context.Context, key string) (r versioned, err error) {
	err = c.with(ctx, bucket, false, func(n *nats.Conn) (err error) {
		var m message
		if err = call(ctx, n, "STREAM.MSG.GET."+bucket, map[string]any{"last_by_subj": registerSubject(key)}, &m); is(err, noMessage) {
			m, err = message{}, nil
		}
		if err == nil {
			r, err = versionedOf(m.Message.Data, m.Message.Sequence)
		}
		return err
	})
	return r, err
}

// anywhere reads a register from any replica.
func (c *connection) anywhere(ctx context.Context, key string) (r versioned, err error) {
	err = c.with(ctx, bucket, false, func(n *nats.Conn) error {
		m, err := n.RequestWithContext(ctx, "$JS.API.DIRECT.GET."+bucket+"."+registerSubject(key), nil)
		switch {
		case err != nil:
			return err
		case m.Header.Get("Status") == "404":
			return nil
		case m.Header.Get("Status") != "":
			return fmt.Errorf("direct get: %s %s", m.Header.Get("Status"), m.Header.Get("Description"))
		}
		r, err = versionedOf(m.Data, 0)
		return err
	})
	return r, err
}

// replace writes a register if its revision is still that of the value that was read;
// it reports whether it did.
//
// That JetStream refuses a write does not mean that the write did not happen: two nodes
// may take themselves for the leader when a partition heals, both get the message, and
// the old one refuses what the new one stores. So after a refusal the first message
// after the one that was read tells. If there is none yet, the write is tried again:
// of several that ask for one revision, one can be stored.
func (c *connection) replace(ctx context.Context, key string, read versioned, by *int64) (done bool, err error) {
	c.writes++
	id := fmt.Sprintf("%s.%d", token(c.client), c.writes)
	m := nats.NewMsg(registerSubject(key))
	m.Header.Set("Nats-Expected-Last-Subject-Sequence", strconv.FormatUint(read.revision, 10))
	m.Header.Set("Coup-Id", id)
	if by != nil {
		m.Data = []byte(strconv.FormatInt(*by, 10))
	} else {
		m.Header.Set("KV-Operation", "DEL")
	}
	for {
		err = c.with(ctx, bucket, true, func(n *nats.Conn) error { _, err := publish(ctx, n, m); return err })
		if !is(err, wrongLastSequence, wrongLastInFlight) {
			return err == nil, err
		}
		var next message
		err = c.with(ctx, bucket, true, func(n *nats.Conn) error {
			return call(ctx, n, "STREAM.MSG.GET."+bucket, map[string]any{"seq": read.revision + 1, "next_by_subj": registerSubject(key)}, &next)
		})
		if !is(err, noMessage) {
			return err == nil && bytes.Contains(next.Message.Header, []byte("Coup-Id: "+id+"\r\n")), err
		}
	}
}

// Read implements cluster.Register. A read is linearizable because what was read is
// written once more, if nobody has written it meanwhile; nothing has happened otherwise.
func (c *connection) Read(ctx context.Context, key string) (*int64, error) {
	switch c.o.Reads {
	case lease:
		r, err := c.atLeader(ctx, key)
		return r.value, err
	case stale:
		r, err := c.anywhere(ctx, key)
		return r.value, err
	}
	for {
		r, err := c.atLeader(ctx, key)
		if err != nil {
			return nil, err
		}
		switch done, err := c.replace(ctx, key, r, r.value); {
		case err != nil: // what may be written is what is there
			return nil, fmt.Errorf("%w: %w", harness.ErrFail, err)
		case done:
			return r.value, nil
		}
	}
}

// Write implements cluster.Register.
func (c *connection) Write(ctx context.Context, key string, v int64) error {
	return c.with(ctx, bucket, true, func(n *nats.Conn) error {
		_, err := publish(ctx, n, &nats.Msg{Subject: registerSubject(key), Data: []byte(strconv.FormatInt(v, 10))})
		return err
	})
}

// CAS implements cluster.Register. It looks again if another client was faster: nothing
// has happened then. What it saw is as certain as what is read.
func (c *connection) CAS(ctx context.Context, key string, from *int64, to int64) (*int64, error) {
	for {
		r, err := c.atLeader(ctx, key)
		if err != nil {
			return nil, err
		}
		same := r.value == nil && from == nil || r.value != nil && from != nil && *r.value == *from
		by := r.value
		if same {
			by = &to
		}
		done, err := c.replace(ctx, key, r, by)
		if err != nil && !same {
			err = fmt.Errorf("%w: %w", harness.ErrFail, err)
		}
		if err != nil {
			return nil, err
		}
		if done {
			return r.value, nil
		}
	}
}
