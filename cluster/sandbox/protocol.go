package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"coup/cluster/capture"
)

// The requests that an agent understands.
const (
	doHello  = "hello"  // answers when the agent is ready
	doSignal = "signal" // sends Signal to every process of the node
	doProcs  = "procs"  // answers Procs
	doFilter = "filter" // makes the packet filter exactly Filter
	doSend   = "send"   // sends Count probes with Token to Address
	doHeard  = "heard"  // answers how many probes with Token have arrived
	doRead   = "read"   // answers what the file Path holds from Offset on

	doCapture  = "capture"  // keeps packets from now on, at most Offset bytes, in the folder Path; answers Now
	doCaptured = "captured" // ends that, and answers Taken
)

type request struct {
	ID      int     `json:"id"`
	Do      string  `json:"do"`
	Signal  int     `json:"signal,omitempty"`
	Filter  *Filter `json:"filter,omitempty"`
	Address string  `json:"address,omitempty"`
	Token   uint64  `json:"token,omitempty"`
	Count   int     `json:"count,omitempty"`
	Path    string  `json:"path,omitempty"`
	Offset  int64   `json:"offset,omitempty"`
}

type response struct {
	ID    int    `json:"id"`
	Error string `json:"error,omitempty"`
	Count int    `json:"count,omitempty"`
	Procs []Proc `json:"procs,omitempty"`
	Data  []byte `json:"data,omitempty"`
	Size  int64  `json:"size,omitempty"` // of the file
	Now   int64  `json:"now,omitempty"`  // what the node's clock shows, in nanoseconds since 1970
	Taken *Taken `json:"taken,omitempty"`
}

// Taken is what a capture of packets has come to.
type Taken struct {
	Kept   capture.Kept `json:"kept"`
	Missed int          `json:"missed,omitempty"` // packets that the agent was too slow for
	Failed string       `json:"failed,omitempty"` // why there are no more; usually ""
}

// Filter says which incoming packets a node drops.
type Filter struct {
	Peers []string `json:"peers"` // the IPv4 addresses of all other nodes
	Drops []Drop   `json:"drops"` // from peers
	// Clients is the probability with which packets from anywhere but the
	// peers and the node itself are dropped.
	Clients float64 `json:"clients"`
}

// Drop says to drop packets from an IPv4 address with a probability.
type Drop struct {
	From string  `json:"from"`
	Name string  `json:"name,omitempty"` // of the node
	Loss float64 `json:"loss"`
}

// Proc is a process of the node.
type Proc struct {
	PID  int    `json:"pid"`
	Name string `json:"name"`
	// Stopped: every thread of it is stopped by a signal.
	Stopped bool `json:"stopped"`
}

// Agent is the harness's end of the line to an agent. Safe for concurrent use.
type Agent struct {
	writing sync.Mutex // one line at a time; never held together with mu
	in      io.Writer

	mu      sync.Mutex
	next    int
	waiting map[int]chan response
	err     error // why there will be no more answers
}

// NewAgent returns an Agent that writes requests to in and reads answers from
// out until out ends.
func NewAgent(in io.Writer, out io.Reader) *Agent {
	a := &Agent{in: in, waiting: map[int]chan response{}}
	go a.read(out)
	return a
}

func (a *Agent) read(out io.Reader) {
	sc := bufio.NewScanner(out)
	sc.Buffer(nil, 1<<20)
	last := ""
	for sc.Scan() {
		var r response
		if json.Unmarshal(sc.Bytes(), &r) != nil {
			last = ": " + sc.Text() // an agent that can't start says why, in words
			continue
		}
		a.mu.Lock()
		if ch, ok := a.waiting[r.ID]; ok {
			delete(a.waiting, r.ID)
			ch <- r
		}
		a.mu.Unlock()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err = fmt.Errorf("the sandbox agent has ended%s", last)
	for id, ch := range a.waiting {
		delete(a.waiting, id)
		close(ch)
	}
}

func (a *Agent) call(ctx context.Context, r request) (response, error) {
	ch := make(chan response, 1)
	a.mu.Lock()
	if a.err != nil {
		a.mu.Unlock()
		return response{}, a.err
	}
	a.next++
	r.ID = a.next
	a.waiting[r.ID] = ch
	a.mu.Unlock()
	forget := func() {
		a.mu.Lock()
		delete(a.waiting, r.ID)
		a.mu.Unlock()
	}
	line, err := json.Marshal(r)
	if err == nil {
		a.writing.Lock()
		_, err = a.in.Write(append(line, '\n'))
		a.writing.Unlock()
	}
	if err != nil {
		forget()
		return response{}, fmt.Errorf("sandbox agent: %w", err)
	}
	select {
	case res, ok := <-ch:
		switch {
		case !ok:
			return response{}, a.err
		case res.Error != "":
			return res, errors.New(res.Error)
		}
		return res, nil
	case <-ctx.Done():
		forget()
		return response{}, fmt.Errorf("sandbox agent, %s: %w", r.Do, ctx.Err())
	}
}

// Hello returns when the agent is ready.
func (a *Agent) Hello(ctx context.Context) error {
	_, err := a.call(ctx, request{Do: doHello})
	return err
}

// Signal sends a signal to every process of the node.
func (a *Agent) Signal(ctx context.Context, signal int) error {
	_, err := a.call(ctx, request{Do: doSignal, Signal: signal})
	return err
}

// Procs lists the processes of the node.
func (a *Agent) Procs(ctx context.Context) ([]Proc, error) {
	r, err := a.call(ctx, request{Do: doProcs})
	return r.Procs, err
}

// SetFilter replaces the node's packet filter, in one step.
func (a *Agent) SetFilter(ctx context.Context, f Filter) error {
	_, err := a.call(ctx, request{Do: doFilter, Filter: &f})
	return err
}

// Send sends count probes that carry token to the agent at an IPv4 address.
func (a *Agent) Send(ctx context.Context, address string, token uint64, count int) error {
	_, err := a.call(ctx, request{Do: doSend, Address: address, Token: token, Count: count})
	return err
}

// Heard returns how many probes with token have arrived so far.
func (a *Agent) Heard(ctx context.Context, token uint64) (int, error) {
	r, err := a.call(ctx, request{Do: doHeard, Token: token})
	return r.Count, err
}

// Read returns what a file of the node holds from offset on, up to some bound, and the
// size of the file.
func (a *Agent) Read(ctx context.Context, path string, offset int64) (content []byte, size int64, err error) {
	r, err := a.call(ctx, request{Do: doRead, Path: path, Offset: offset})
	return r.Data, r.Size, err
}

// Capture begins to keep the packets of the node, the newest of them and at most bound bytes, in an empty
// folder. It returns how far the node's clock is ahead of this machine's, to that
// accuracy.
func (a *Agent) Capture(ctx context.Context, dir string, bound int64) (ahead, accuracy time.Duration, err error) {
	before := time.Now()
	r, err := a.call(ctx, request{Do: doCapture, Path: dir, Offset: bound})
	accuracy = time.Since(before) / 2
	return time.Unix(0, r.Now).Sub(before.Add(accuracy).Round(0)), accuracy, err
}

// Captured ends the capture.
func (a *Agent) Captured(ctx context.Context) (*Taken, error) {
	r, err := a.call(ctx, request{Do: doCaptured})
	if err == nil && r.Taken == nil {
		err = errors.New("sandbox agent: it tells nothing of the packets")
	}
	return r.Taken, err
}
