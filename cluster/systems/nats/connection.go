package nats

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"coup/cluster"
	"coup/harness"
)

// The streams. That of a bucket has a name and subjects of a certain form, so that the
// clients of NATS take it for one.
const (
	messages = "coup"
	bucket   = "KV_coup"
)

// streams are the streams, as they are to be made. The bucket keeps all revisions, as
// replace looks at those after one that was read.
func streams(o cluster.Options) map[string]map[string]any {
	replicas, _ := strconv.Atoi(setting(o, "replicas"))
	return map[string]map[string]any{
		messages: {
			"name": messages, "subjects": []string{"coup.>"}, "storage": "file", "num_replicas": replicas,
			"retention": "limits", "max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "max_age": 0,
		},
		bucket: {
			"name": bucket, "subjects": []string{"$KV.coup.>"}, "storage": "file", "num_replicas": replicas,
			"retention": "limits", "max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "max_age": 0,
			"max_msgs_per_subject": -1, "discard": "new", "allow_rollup_hdrs": true, "deny_delete": true, "allow_direct": true,
		},
	}
}

// The subjects. Keys of coup may have characters that a subject may not.
func token(key string) string           { return base64.RawURLEncoding.EncodeToString([]byte(key)) }
func setSubject(key string) string      { return "coup.set." + token(key) + "." }
func queueSubject(key string) string    { return "coup.queue." + token(key) }
func registerSubject(key string) string { return "$KV.coup." + token(key) }

// dialer dials a node's client port whatever address the client has in mind.
type dialer struct {
	ctx  context.Context
	a    cluster.Access
	node string
}

func (d dialer) Dial(string, string) (net.Conn, error) { return d.a.Dial(d.ctx, d.node, "clients") }

// dial connects to a node, for good: a connection that is lost is not made anew behind
// our back. Its error wraps harness.ErrFail.
func dial(ctx context.Context, a cluster.Access, node string) (*nats.Conn, error) {
	left, ok := harness.Left(ctx)
	if !ok || left > 5*time.Second {
		left = 5 * time.Second
	}
	c, err := nats.Connect("nats://"+node, nats.SetCustomDialer(dialer{ctx, a, node}), nats.Timeout(max(left, time.Millisecond)),
		nats.NoReconnect(), nats.IgnoreDiscoveredServers(), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		return nil, fmt.Errorf("%w: connect to %s: %w", harness.ErrFail, node, err)
	}
	return c, nil
}

// apiError is an error that JetStream has answered.
type apiError struct {
	Code        int    `json:"err_code"`
	Description string `json:"description"`
}

func (e *apiError) Error() string { return fmt.Sprintf("%s (%d)", e.Description, e.Code) }

// The errors of JetStream that clients act on, by its own numbers.
const (
	noMessage         = 10037
	noSuchSequence    = 10043
	deleteFailed      = 10057
	streamExists      = 10058
	noStream          = 10059
	wrongLastSequence = 10071
	wrongLastInFlight = 10164 // said while another message of the subject is on its way
)

func is(err error, codes ...int) bool {
	var said *apiError
	if !errors.As(err, &said) {
		return false
	}
	for _, c := range codes {
		if said.Code == c {
			return true
		}
	}
	return false
}

// request asks JetStream over a connection and decodes its answer, which may be an
// apiError. Its error wraps harness.ErrFail if nobody has got the request.
func request(ctx context.Context, c *nats.Conn, m *nats.Msg, answer any) error {
	reply, err := c.RequestMsgWithContext(ctx, m)
	if err != nil {
		if errors.Is(err, nats.ErrNoResponders) { // said by the node itself, which has delivered it to nobody
			err = fmt.Errorf("%w: %w", harness.ErrFail, err)
		}
		return err
	}
	var said struct {
		Error *apiError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &said); err != nil {
		return err
	}
	if said.Error != nil {
		return said.Error
	}
	return json.Unmarshal(reply.Data, answer)
}

// call asks JetStream's API.
func call(ctx context.Context, c *nats.Conn, what string, body, answer any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("%w: %w", harness.ErrFail, err)
	}
	if err := request(ctx, c, &nats.Msg{Subject: "$JS.API." + what, Data: b}, answer); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// connection is a client that talks to its own node. It implements the operations of
// package cluster.
type connection struct {
	access cluster.Access
	home   string
	client string // unique within the run
	o      cluster.Options
	nats   *nats.Conn // nil: not connected
	writes int        // writes that asked for a revision
	gone   string     // a stream that there is not any more, or ""
}

// Open implements cluster.System. The connection is made when it is used.
func (System) Open(a cluster.Access, node string, o cluster.Options) (cluster.Conn, error) {
	client := o.Client
	if client == "" {
		client = rand.Text()
	}
	return &connection{access: a, home: node, client: client, o: o}, nil
}

// Node implements cluster.Conn.
func (c *connection) Node() string { return c.home }

// Close implements cluster.Conn.
func (c *connection) Close() error {
	if c.nats != nil {
		c.nats.Close()
		c.nats = nil
	}
	return nil
}

// with performs do, which asks for a stream, over the connection. Its error says whether
// do may have had an effect.
//
// A stream that there is not any more is made again, as by applications that make sure of
// their streams when they start. So one that was forgotten is seen as one that has lost
// everything, and not as one that does not answer.
func (c *connection) with(ctx context.Context, stream string, effect bool, do func(n *nats.Conn) error) error {
	if c.nats == nil {
		n, err := dial(ctx, c.access, c.home)
		if err != nil {
			return err
		}
		c.nats = n
	}
	if c.gone != "" {
		if err := create(ctx, c.nats, c.gone, c.o); err != nil {
			return fmt.Errorf("%w: %s: %w", harness.ErrFail, c.home, err)
		}
		c.gone = ""
	}
	err := do(c.nats)
	if err == nil {
		return nil
	}
	gone := is(err, noStream)
	if errors.Is(err, nats.ErrNoResponders) { // it has no leader now, or is gone
		gone = is(call(ctx, c.nats, "STREAM.INFO."+stream, struct{}{}, &struct{}{}), noStream)
	}
	if gone {
		c.gone = stream
	}
	var said *apiError
	if c.nats.IsClosed() || !errors.As(err, &said) && !errors.Is(err, harness.ErrFail) {
		c.Close() // an answer that is late goes nowhere
	}
	if !effect {
		return fmt.Errorf("%w: %s: %w", harness.ErrFail, c.home, err)
	}
	return fmt.Errorf("%s: %w", c.home, err)
}

// create makes a stream; nothing is done if there is one of that name.
func create(ctx context.Context, n *nats.Conn, stream string, o cluster.Options) error {
	err := call(ctx, n, "STREAM.CREATE."+stream, streams(o)[stream], &struct{}{})
	if is(err, streamExists) {
		return nil
	}
	return err
}
