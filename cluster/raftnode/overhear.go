//go:build !wasip1

package raftnode

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"

	"coup/cluster/raftnode/simulated"
	"coup/cluster/trace"
)

// For traces: what nodes on simulated machines and their clients say, in words. It is
// decoded from the bytes on the wire, with the node's own code, and the node does
// nothing for it. A test compares it with what a real server sends.

// OverhearPeers reads along on a connection between nodes: see package simulated.
func OverhearPeers() trace.Conversation { return simulated.Overhear(tellData) }

// OverhearClients reads along on a connection to a node's client port: see api.go.
func OverhearClients() trace.Conversation { return &clientTalk{} }

// TellWritten says in words what a node writes to a file of its disk, "" if
// that can't be told.
func TellWritten(file string, b []byte) string { return simulated.Words(tellData).Wrote(file, b) }

// notUnderstood is the text for a conversation, from the moment on at which it can't
// be followed any more.
var notUnderstood = []trace.Message{{Kind: "?", Text: "not understood"}}

// tellData tells a command as it is in the log.
func tellData(data []byte) (what string, keys []string) {
	c, err := decodeCommand(data)
	if err != nil {
		return "unknown command", nil
	}
	return tellCommand(c), keysOf(c.Key, c.Txn)
}

func tellCommand(c command) string {
	var b strings.Builder
	b.WriteString(c.Op)
	if c.Key != "" {
		b.WriteString(" " + c.Key)
	}
	switch c.Op {
	case opNoop, opDequeue:
	case opTxn:
		b.WriteString(" " + tellTxn(c.Txn))
	case opTaskTake, opDeliver:
	case opPut:
		fmt.Fprintf(&b, " %d of producer %s", c.Value, tellValue(c.From))
	case opSubmit:
		b.WriteString(tellSubmit(c.Value, c.From))
	case opBeat, opFinish, opAck:
		fmt.Fprintf(&b, " %d by token %s", c.Value, tellValue(c.From))
	case opCAS:
		fmt.Fprintf(&b, " %s to %d", tellValue(c.From), c.Value)
	default:
		fmt.Fprintf(&b, " %d", c.Value)
	}
	return b.String()
}

func tellSubmit(task int64, after *int64) string {
	if after == nil {
		return fmt.Sprintf(" %d", task)
	}
	return fmt.Sprintf(" %d after %d", task, *after)
}

func tellValue(v *int64) string {
	if v == nil {
		return "nothing"
	}
	return fmt.Sprint(*v)
}

// keysOf are the objects that a request or command concerns.
func keysOf(key string, txn []Micro) (keys []string) {
	if key != "" {
		keys = append(keys, key)
	}
	for _, m := range txn {
		if !slices.Contains(keys, m.Key) {
			keys = append(keys, m.Key)
		}
	}
	return keys
}

// tellTxn tells the steps of a transaction, with what its reads saw.
func tellTxn(txn []Micro) string {
	var parts []string
	for _, m := range txn {
		switch {
		case m.F == MicroAppend:
			parts = append(parts, fmt.Sprintf("append %s %d", m.Key, m.Value))
		case m.List == nil:
			parts = append(parts, "read "+m.Key)
		default:
			parts = append(parts, fmt.Sprintf("read %s [%s]", m.Key, tellValues(m.List)))
		}
	}
	return strings.Join(parts, ", ")
}

// clientTalk follows requests and answers in HTTP.
type clientTalk struct {
	asked, answered []byte
	open            []question // whose answers are to come
	lost            bool
}

type question struct {
	req  *http.Request
	keys []string
}

// Said implements trace.Conversation.
func (c *clientTalk) Said(dialler bool, b []byte) (all []trace.Message) {
	if c.lost {
		return nil
	}
	buf, next := &c.answered, c.answer
	if dialler {
		buf, next = &c.asked, c.request
	}
	*buf = append(*buf, b...)
	for bytes.Contains(*buf, []byte("\r\n\r\n")) { // a whole head
		rest := bytes.NewReader(*buf)
		r := bufio.NewReader(rest)
		m, err := next(r)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return all // the rest is to come
		}
		if err != nil {
			c.lost = true
			return append(all, notUnderstood...)
		}
		all = append(all, m)
		*buf = (*buf)[len(*buf)-rest.Len()-r.Buffered():]
	}
	return all
}

func (c *clientTalk) request(r *bufio.Reader) (m trace.Message, err error) {
	req, err := http.ReadRequest(r)
	if err != nil {
		return m, err
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return m, err
	}
	defer func() { c.open = append(c.open, question{req, m.Keys}) }()
	req.URL.Path = withoutShard(req.URL.Path)
	m = trace.Message{Kind: path.Base(req.URL.Path)}
	if req.URL.Path == PathStatus {
		m.Idle = true
		return m, nil
	}
	if !isOperation(req.URL.Path) {
		m.Text = tellBody(body)
		return m, nil
	}
	ask, err := decodeRequest(bytes.NewReader(body))
	if err != nil {
		m.Text = err.Error()
		return m, nil
	}
	m.Keys, m.Text = keysOf(ask.Key, ask.Txn), tellRequest(req.URL.Path, ask)
	return m, nil
}

// withoutShard is a path as a node with one log has it.
func withoutShard(at string) string {
	_, under, named := strings.Cut(strings.TrimPrefix(at, "/shards/"), "/")
	if !named || !strings.HasPrefix(at, "/shards/") {
		return at
	}
	return "/" + under
}

func isOperation(at string) bool {
	return slices.ContainsFunc(operations, func(o operation) bool { return o.name == at })
}

// tellBody tells what is no operation on the data, such as a change of members,
// as it was sent.
func tellBody(body []byte) string {
	const most = 200
	text := strings.TrimSpace(string(body))
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

func tellRequest(at string, ask Request) string {
	text := ask.Key + tellTxn(ask.Txn)
	switch at {
	case PathRegisterCAS:
		text += fmt.Sprintf(" %s to %d", tellValue(ask.From), ask.Value)
	case PathRegisterWrite, PathSetAdd, PathQueueEnqueue, PathCounterAdd:
		text += fmt.Sprintf(" %d", ask.Value)
	case PathTaskSubmit:
		text += tellSubmit(ask.Value, ask.From)
	case PathLetterPut:
		text += fmt.Sprintf(" %d of producer %s", ask.Value, tellValue(ask.From))
	case PathTaskBeat, PathTaskFinish, PathLetterAck:
		text += fmt.Sprintf(" %d by token %s", ask.Value, tellValue(ask.From))
	}
	if ask.Client != "" {
		text += fmt.Sprintf(", number %d of %s", ask.Seq, ask.Client)
	}
	if ask.Reads != "" {
		text += ", " + ask.Reads
	}
	if ask.Retry {
		text += ", once more"
	}
	if ask.Forwarded {
		text += ", forwarded"
	}
	return text
}

func (c *clientTalk) answer(r *bufio.Reader) (m trace.Message, err error) {
	if len(c.open) == 0 {
		return m, errors.New("an answer that nobody asked for")
	}
	to := c.open[0]
	resp, err := http.ReadResponse(r, to.req)
	if err != nil {
		return m, err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return m, err
	}
	c.open = c.open[1:]
	m = trace.Message{Kind: path.Base(to.req.URL.Path), Reply: true, Keys: to.keys}
	if to.req.URL.Path == PathStatus {
		m.Idle = true
		var s Status
		if json.Unmarshal(body, &s) == nil && resp.StatusCode == http.StatusOK {
			m.Sender = &trace.Belief{Role: s.Role, Term: s.Term, Leader: s.Leader, Last: s.Last, Commit: s.Commit}
			m.Text = fmt.Sprintf("%s, term %d, leader %s, log to %d, commit %d, applied %d", s.Role, s.Term, orNobody(s.Leader), s.Last, s.Commit, s.Applied)
		}
		return m, nil
	}
	if !isOperation(to.req.URL.Path) {
		m.Text = tellBody(body)
		return m, nil
	}
	got, f := DecodeAnswer(resp.StatusCode, bytes.NewReader(body))
	switch {
	case f == nil && got.Txn != nil:
		m.Text = tellTxn(got.Txn)
	case f == nil && got.Values != nil:
		m.Text = tellValues(got.Values)
	case f == nil && got.Token != 0:
		m.Text = fmt.Sprintf("%s by token %d", tellValue(got.Value), got.Token)
	case f == nil:
		m.Text = tellValue(got.Value)
	default:
		m.Text = f.Error()
		if f.Leader != "" {
			m.Text += "; ask " + f.Leader
		}
	}
	return m, nil
}

func orNobody(leader string) string {
	if leader == "" {
		return "unknown"
	}
	return leader
}

func tellValues(values []int64) string {
	const most = 20
	text := strings.Trim(fmt.Sprint(values[max(0, len(values)-most):]), "[]")
	if len(values) > most {
		return fmt.Sprintf("%d values, the last of them %s", len(values), text)
	}
	return text
}
