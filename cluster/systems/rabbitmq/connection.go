package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"coup/cluster"
	"coup/harness"
)

// connection is a client of its own node. It implements cluster.Messages.
type connection struct {
	access     cluster.Access
	home       string
	queue      string // the setting
	persistent bool
	link       *link           // nil: not connected
	declared   map[string]bool // the queues that this client knows to be there
}

var _ cluster.Messages = (*connection)(nil)

// link is a connection of AMQP with one channel.
type link struct {
	socket   net.Conn
	conn     *amqp.Connection
	channel  *amqp.Channel
	returned chan amqp.Return // what no queue took
}

// heartbeat is how often both sides say that they are there: a node gives a client up,
// and hands its messages to others, when it has missed two.
const heartbeat = 2 * time.Second

// dial connects to a node. Its error means that nothing was asked.
func dial(ctx context.Context, a cluster.Access, node string) (*link, error) {
	l := &link{returned: make(chan amqp.Return, 1)}
	conn, err := amqp.DialConfig("amqp://guest:guest@"+node+"/", amqp.Config{
		Heartbeat: heartbeat,
		Dial: func(string, string) (net.Conn, error) {
			socket, err := a.Dial(ctx, node, "amqp")
			if err != nil {
				return nil, err
			}
			deadline, ok := ctx.Deadline()
			if !ok {
				deadline = time.Now().Add(10 * time.Second)
			}
			l.socket = socket
			return socket, socket.SetDeadline(deadline) // until the connection is open
		},
	})
	if err != nil {
		l.close()
		return nil, fmt.Errorf("connect to %s: %w", node, err)
	}
	l.conn = conn
	err = within(ctx, l, func() (err error) {
		if l.channel, err = conn.Channel(); err == nil {
			l.channel.NotifyReturn(l.returned)
			err = l.channel.Confirm(false)
		}
		return err
	})
	if err != nil {
		l.close()
		return nil, fmt.Errorf("open a channel at %s: %w", node, err)
	}
	return l, nil
}

// close hangs up. The node puts back what was not acknowledged.
func (l *link) close() {
	if l.socket != nil {
		l.socket.Close() // it can't be closed better
	}
}

// within performs what has no deadline of its own: when ctx is over, the connection ends.
func within(ctx context.Context, l *link, do func() error) error {
	stop := context.AfterFunc(ctx, l.close)
	defer stop()
	err := do()
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w (%w)", ctx.Err(), err)
	}
	return err
}

// Open implements cluster.System. The connection is made when it is used.
func (System) Open(a cluster.Access, node string, o cluster.Options) (cluster.Conn, error) {
	return &connection{access: a, home: node, queue: setting(o, "queue"), persistent: setting(o, "persistent") == "true", declared: map[string]bool{}}, nil
}

// Node implements cluster.Conn.
func (c *connection) Node() string { return c.home }

// Close implements cluster.Conn.
func (c *connection) Close() error {
	c.drop()
	return nil
}

func (c *connection) drop() {
	if c.link != nil {
		c.link.close()
		c.link = nil
	}
}

// failed ends the connection after an error. The node closes a channel after most errors;
// a queue that is not found is declared again.
func (c *connection) failed(key string, err error) error {
	c.drop()
	var said *amqp.Error
	if errors.As(err, &said) && said.Code == amqp.NotFound {
		delete(c.declared, key)
	}
	return fmt.Errorf("%s: %w", c.home, err)
}

// arguments are those of a queue's declaration.
func arguments(queue string) amqp.Table {
	if queue == "quorum" {
		return amqp.Table{"x-queue-type": "quorum"}
	}
	return amqp.Table{"x-queue-type": "classic"}
}

// ready returns when the client is connected and the queue is there. Its error means that
// nothing was sent or taken.
func (c *connection) ready(ctx context.Context, key string) error {
	if c.link != nil && (c.link.conn.IsClosed() || c.link.channel.IsClosed()) {
		c.drop()
	}
	if c.link == nil {
		l, err := dial(ctx, c.access, c.home)
		if err != nil {
			return fmt.Errorf("%w: %w", harness.ErrFail, err)
		}
		c.link = l
	}
	if c.declared[key] {
		return nil
	}
	err := within(ctx, c.link, func() error {
		_, err := c.link.channel.QueueDeclare(key, true, false, false, false, arguments(c.queue))
		return err
	})
	if err != nil {
		return fmt.Errorf("%w: declare a queue: %w", harness.ErrFail, c.failed(key, err))
	}
	c.declared[key] = true
	return nil
}

// Publish implements cluster.Messages. A message that was refused (nack) may be there.
func (c *connection) Publish(ctx context.Context, key string, v int64) error {
	if err := c.ready(ctx, key); err != nil {
		return err
	}
	l := c.link
	message := amqp.Publishing{Body: strconv.AppendInt(nil, v, 10), DeliveryMode: amqp.Transient}
	if c.persistent {
		message.DeliveryMode = amqp.Persistent
	}
	confirmed := false
	err := within(ctx, l, func() error {
		confirm, err := l.channel.PublishWithDeferredConfirmWithContext(ctx, "", key, true, false, message)
		if err == nil {
			confirmed, err = confirm.WaitContext(ctx)
		}
		return err
	})
	if err != nil {
		return c.failed(key, err)
	}
	if !confirmed {
		return c.failed(key, errors.New("the node could not take the message, or lost the connection"))
	}
	select {
	case r, ok := <-l.returned: // it comes before the confirm, and means that no queue has it
		if ok {
			delete(c.declared, key)
			return fmt.Errorf("%w: %s: %s", harness.ErrFail, c.home, r.ReplyText)
		}
	default:
	}
	return nil
}

// Consume implements cluster.Messages. Who has the message in hand has received it, even
// if the acknowledgement should be lost: then it is handed out once more.
func (c *connection) Consume(ctx context.Context, key string) (*int64, error) {
	if err := c.ready(ctx, key); err != nil {
		return nil, err
	}
	var got amqp.Delivery
	var ok bool
	if err := within(ctx, c.link, func() (err error) { got, ok, err = c.link.channel.Get(key, false); return err }); err != nil {
		return nil, fmt.Errorf("%w: %w", harness.ErrFail, c.failed(key, err))
	}
	if !ok {
		return nil, nil
	}
	v, err := strconv.ParseInt(string(got.Body), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%s handed out %q, which nobody has sent", c.home, got.Body)
	}
	if err := within(ctx, c.link, func() error { return got.Ack(false) }); err != nil {
		c.drop()
	}
	return &v, nil
}
