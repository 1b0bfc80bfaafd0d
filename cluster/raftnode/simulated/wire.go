package simulated

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// Transport is a raft.Transport with a coding of its own. It does what raft's
// NetworkTransport does, one connection for each message under way, but codes
// messages by hand: on a simulated machine, where it is used, msgpack and its
// reflection take most of the time.
//
// A message is a byte that names it, the length of what follows, and that. The
// answer is a byte, 0 or 1 for an error, a length, and the answer or the error's
// text. The data of a snapshot follow its message.
type Transport struct {
	listener net.Listener
	addr     string
	dial     func(ctx context.Context, addr string) (net.Conn, error)
	timeout  time.Duration
	inFlight int                                // messages of a pipeline under way, at least LeastInFlight
	self     []byte                             // addr as messages tell it
	leader   atomic.Pointer[raft.ServerAddress] // the address that was decoded last
	consume  chan raft.RPC
	ended    chan struct{}

	mu        sync.Mutex
	heartbeat func(raft.RPC)
	arrival   func(any) // nil: nobody hears
	idle      map[raft.ServerAddress][]*wireConn
	open      map[*wireConn]struct{}
	closed    bool
}

// LeastInFlight is the least that makes a pipeline, and hashicorp/raft's own default.
const LeastInFlight = 2

const (
	wirePool  = 4       // idle connections that are kept for each peer
	wireMost  = 1 << 26 // the longest message
	wireScale = 256 << 10
)

// NewTransport returns a transport that listens at l, and that peers reach at addr. A
// message is given up after timeout; inFlight of a pipeline may be under way, at least
// LeastInFlight.
func NewTransport(l net.Listener, addr string, dial func(context.Context, string) (net.Conn, error), timeout time.Duration, inFlight int) *Transport {
	w := &Transport{
		listener: l, addr: addr, dial: dial, timeout: timeout, inFlight: inFlight, self: []byte(addr),
		consume: make(chan raft.RPC), ended: make(chan struct{}),
		idle: map[raft.ServerAddress][]*wireConn{}, open: map[*wireConn]struct{}{},
	}
	go w.accept()
	return w
}

// wireConn is a connection that one message uses at a time.
type wireConn struct {
	w    *Transport
	conn net.Conn
	r    *bufio.Reader
	buf  []byte
	// answers are raft's answers to the message that is being served. There is room for
	// one more, which wakes the goroutine that waits when the transport is closed.
	answers chan raft.RPCResponse
}

var errWireClosed = errors.New("transport is closed")

func (w *Transport) adopt(conn net.Conn) (*wireConn, error) {
	c := &wireConn{w: w, conn: conn, r: bufio.NewReader(conn), answers: make(chan raft.RPCResponse, 2)}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		conn.Close()
		return nil, errWireClosed
	}
	w.open[c] = struct{}{}
	return c, nil
}

func (c *wireConn) close() {
	c.conn.Close()
	c.w.mu.Lock()
	delete(c.w.open, c)
	c.w.mu.Unlock()
}

// get takes an idle connection or makes one.
func (w *Transport) get(to raft.ServerAddress) (*wireConn, error) {
	w.mu.Lock()
	if all := w.idle[to]; len(all) > 0 {
		c := all[len(all)-1]
		w.idle[to] = all[:len(all)-1]
		w.mu.Unlock()
		return c, nil
	}
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), w.timeout)
	defer cancel()
	conn, err := w.dial(ctx, string(to))
	if err != nil {
		return nil, err
	}
	return w.adopt(conn)
}

func (w *Transport) put(to raft.ServerAddress, c *wireConn) {
	w.mu.Lock()
	if keep := !w.closed && len(w.idle[to]) < wirePool; keep {
		w.idle[to] = append(w.idle[to], c)
		w.mu.Unlock()
		return
	}
	w.mu.Unlock()
	c.close()
}

const wireHead = 5

// send writes a message or an answer.
func (c *wireConn) send(kind byte, m any) error {
	code := encoder(append(c.buf[:0], kind, 0, 0, 0, 0))
	code.message(m)
	if code.Bad {
		return fmt.Errorf("no message for the wire: %T", m)
	}
	return c.flush(code.Out)
}

func (c *wireConn) flush(b []byte) error {
	binary.LittleEndian.PutUint32(b[1:], uint32(len(b)-wireHead))
	c.buf = b
	_, err := c.conn.Write(b)
	return err
}

func (c *wireConn) receive() (kind byte, body []byte, err error) {
	head, err := c.r.Peek(wireHead)
	if err != nil {
		return 0, nil, err
	}
	kind = head[0]
	size := binary.LittleEndian.Uint32(head[1:])
	if size > wireMost {
		return 0, nil, fmt.Errorf("a message of %d bytes", size)
	}
	c.r.Discard(wireHead)
	body = make([]byte, size) // messages keep parts of it
	_, err = io.ReadFull(c.r, body)
	return kind, body, err
}

// answer reads the answer to a message.
func (c *wireConn) answer(resp any) error {
	kind, body, err := c.receive()
	if err != nil {
		return err
	}
	if kind != 0 {
		return &remoteError{string(body)}
	}
	code := decoder(body)
	code.message(resp)
	if code.Bad {
		return errors.New("garbled answer")
	}
	return nil
}

// remoteError is what the peer answered instead; the connection is in order.
type remoteError struct{ text string }

func (e *remoteError) Error() string { return e.text }

// call sends a message and waits for its answer. data follows the message.
func (w *Transport) call(to raft.ServerAddress, kind byte, req, resp any, data io.Reader, timeout time.Duration) error {
	c, err := w.get(to)
	if err != nil {
		return err
	}
	c.conn.SetDeadline(time.Now().Add(timeout))
	err = c.send(kind, req)
	if err == nil && data != nil {
		_, err = io.Copy(c.conn, data)
	}
	if err == nil {
		err = c.answer(resp)
	}
	var remote *remoteError
	if err != nil && !errors.As(err, &remote) {
		c.close()
		return err
	}
	w.put(to, c)
	return err
}

// AppendEntries implements raft.Transport.
func (w *Transport) AppendEntries(_ raft.ServerID, to raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	return w.call(to, wireAppend, req, resp, nil, w.timeout)
}

// RequestVote implements raft.Transport.
func (w *Transport) RequestVote(_ raft.ServerID, to raft.ServerAddress, req *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	return w.call(to, wireVote, req, resp, nil, w.timeout)
}

// TimeoutNow implements raft.Transport.
func (w *Transport) TimeoutNow(_ raft.ServerID, to raft.ServerAddress, req *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	return w.call(to, wireTimeoutNow, req, resp, nil, w.timeout)
}

// InstallSnapshot implements raft.Transport. The more data, the more time.
func (w *Transport) InstallSnapshot(_ raft.ServerID, to raft.ServerAddress, req *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	timeout := max(w.timeout, w.timeout*time.Duration(req.Size/wireScale))
	return w.call(to, wireSnapshot, req, resp, data, timeout)
}

// Consumer implements raft.Transport.
func (w *Transport) Consumer() <-chan raft.RPC { return w.consume }

// LocalAddr implements raft.Transport.
func (w *Transport) LocalAddr() raft.ServerAddress { return raft.ServerAddress(w.addr) }

// EncodePeer implements raft.Transport. Nobody changes what it returns.
func (w *Transport) EncodePeer(_ raft.ServerID, addr raft.ServerAddress) []byte {
	if string(addr) == w.addr {
		return w.self // of nearly every message
	}
	return []byte(addr)
}

// DecodePeer implements raft.Transport.
func (w *Transport) DecodePeer(b []byte) raft.ServerAddress {
	if last := w.leader.Load(); last != nil && string(*last) == string(b) {
		return *last
	}
	addr := raft.ServerAddress(b)
	w.leader.Store(&addr)
	return addr
}

// SetHeartbeatHandler implements raft.Transport.
func (w *Transport) SetHeartbeatHandler(cb func(raft.RPC)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heartbeat = cb
}

// OnArrival lets heard hear each message as it arrives, before raft does.
func (w *Transport) OnArrival(heard func(message any)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.arrival = heard
}

// Close implements raft.WithClose.
func (w *Transport) Close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil
	}
	w.closed = true
	close(w.ended)
	for c := range w.open {
		c.conn.Close()
		c.answers <- raft.RPCResponse{Error: errWireClosed}
	}
	w.mu.Unlock()
	return w.listener.Close()
}

func (w *Transport) accept() {
	for {
		conn, err := w.listener.Accept()
		if err != nil {
			select {
			case <-w.ended:
				return
			case <-time.After(10 * time.Millisecond): // one that failed is not all
				if errors.Is(err, net.ErrClosed) {
					return
				}
				continue
			}
		}
		if c, err := w.adopt(conn); err == nil {
			go c.serve()
		}
	}
}

// serve answers the messages of a peer, one after the other.
func (c *wireConn) serve() {
	defer c.close()
	for {
		kind, body, err := c.receive()
		if err != nil {
			return
		}
		req, _ := newMessages(kind)
		code := decoder(body)
		if code.message(req); code.Bad {
			return
		}
		rpc := raft.RPC{Command: req, RespChan: c.answers}
		if snapshot, ok := req.(*raft.InstallSnapshotRequest); ok {
			rpc.Reader = io.LimitReader(c.r, snapshot.Size)
		}
		c.w.mu.Lock()
		beat, heard := c.w.heartbeat, c.w.arrival
		c.w.mu.Unlock()
		if heard != nil {
			heard(req)
		}
		if beat != nil && isHeartbeat(req) {
			beat(rpc)
		} else {
			select {
			case c.w.consume <- rpc: // raft is mostly ready for it, and this select is the cheap one
			default:
				select {
				case c.w.consume <- rpc:
				case <-c.w.ended:
					return
				}
			}
		}
		if a := <-c.answers; a.Error != nil {
			err = c.flush(append(append(c.buf[:0], 1, 0, 0, 0, 0), a.Error.Error()...))
		} else {
			err = c.send(0, a.Response)
		}
		if err != nil {
			return
		}
	}
}

// isHeartbeat says whether a message only tells that the leader is there, as
// raft's own transport decides it.
func isHeartbeat(m any) bool {
	a, ok := m.(*raft.AppendEntriesRequest)
	return ok && a.Term != 0 && senderAddr(a) != nil && a.PrevLogEntry == 0 && a.PrevLogTerm == 0 &&
		len(a.Entries) == 0 && a.LeaderCommitIndex == 0
}

// Heartbeat are the term and the address of the leader that sent a heartbeat; it is false of
// any other message.
func Heartbeat(m any) (term uint64, leader []byte, ok bool) {
	if !isHeartbeat(m) {
		return 0, nil, false
	}
	a := m.(*raft.AppendEntriesRequest)
	return a.Term, senderAddr(a), true
}

// wirePipe sends entries without waiting for the answers to those before. It is as deep
// as the pipeline of raft's own transport: a sender waits when too many messages are in
// flight, and two answers fewer than that are buffered. Raft may stop reading answers and
// go on sending; then the sender waits forever, while heartbeats go on
// (hashicorp/raft#612). A deeper pipeline hides that.
type wirePipe struct {
	c     *wireConn
	open  chan *wireFuture
	done  chan raft.AppendFuture
	ended chan struct{}
	once  sync.Once
}

// AppendEntriesPipeline implements raft.Transport.
func (w *Transport) AppendEntriesPipeline(_ raft.ServerID, to raft.ServerAddress) (raft.AppendPipeline, error) {
	c, err := w.get(to)
	if err != nil {
		return nil, err
	}
	p := &wirePipe{
		c: c, open: make(chan *wireFuture, w.inFlight-LeastInFlight), done: make(chan raft.AppendFuture, w.inFlight-LeastInFlight), ended: make(chan struct{}),
	}
	go p.receive()
	return p, nil
}

func (p *wirePipe) receive() {
	for {
		select {
		case f := <-p.open:
			p.c.conn.SetReadDeadline(time.Now().Add(p.c.w.timeout))
			f.end(p.c.answer(f.resp))
			select {
			case p.done <- f:
			case <-p.ended:
				return
			}
		case <-p.ended:
			return
		}
	}
}

// AppendEntries implements raft.AppendPipeline.
func (p *wirePipe) AppendEntries(req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	f := &wireFuture{start: time.Now(), req: req, resp: resp, ended: make(chan struct{})}
	if err := p.c.send(wireAppend, req); err != nil {
		return nil, err
	}
	select {
	case p.open <- f:
		return f, nil
	case <-p.ended:
		return nil, raft.ErrPipelineShutdown
	}
}

// Consumer implements raft.AppendPipeline.
func (p *wirePipe) Consumer() <-chan raft.AppendFuture { return p.done }

// Close implements raft.AppendPipeline.
func (p *wirePipe) Close() error {
	p.once.Do(func() {
		close(p.ended)
		p.c.close()
	})
	return nil
}

// wireFuture is a message of a pipeline.
type wireFuture struct {
	start time.Time
	req   *raft.AppendEntriesRequest
	resp  *raft.AppendEntriesResponse
	err   error
	ended chan struct{}
}

func (f *wireFuture) end(err error) {
	f.err = err
	close(f.ended)
}

func (f *wireFuture) Error() error {
	<-f.ended
	return f.err
}

func (f *wireFuture) Start() time.Time                      { return f.start }
func (f *wireFuture) Request() *raft.AppendEntriesRequest   { return f.req }
func (f *wireFuture) Response() *raft.AppendEntriesResponse { return f.resp }

var (
	_ raft.Transport = (*Transport)(nil)
	_ raft.WithClose = (*Transport)(nil)
)
