//go:build !wasip1

package raftnode

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/raft"

	"coup/cluster/trace"
)

// What nodes on simulated machines say, in words. It is read from outside, from
// the bytes that pass, so that a node does nothing for it. Everything that knows
// how those bytes are framed is in this file; what is in them it reads with the
// node's own code. A test holds it against a transport and a server at work.

// OverhearPeers reads along on a connection between nodes: see wire.
func OverhearPeers() trace.Conversation { return &peerTalk{} }

// OverhearClients reads along on a connection to a node's client port: see api.go.
func OverhearClients() trace.Conversation { return &clientTalk{} }

// notUnderstood is all that is said of a conversation from the moment on when
// it can't be followed any more.
var notUnderstood = []trace.Message{{Kind: "?", Text: "not understood"}}

// peerTalk follows raft's messages.
type peerTalk struct {
	asked, answered []byte // not yet whole messages
	data            int64  // bytes of a snapshot that are still to come
	open            []exchange
	unnamed         bool // these nodes don't say who sent a message: see coder
	lost            bool
}

// exchange is a request whose response is to come.
type exchange struct {
	req, resp any
	keys      []string
}

// Said implements trace.Conversation.
func (p *peerTalk) Said(dialler bool, b []byte) (all []trace.Message) {
	if p.lost {
		return nil
	}
	buf := &p.answered
	if dialler {
		buf = &p.asked
	}
	*buf = append(*buf, b...)
	for {
		if dialler && p.data > 0 && len(*buf) > 0 {
			n := min(p.data, int64(len(*buf)))
			p.data, *buf = p.data-n, (*buf)[n:]
			all = append(all, trace.Message{Kind: "snapshot", Text: fmt.Sprintf("%d bytes of its data", n)})
			continue
		}
		if len(*buf) < wireHead {
			return all
		}
		kind, size := (*buf)[0], int(binary.LittleEndian.Uint32((*buf)[1:]))
		if size > wireMost {
			p.lost = true
			return append(all, notUnderstood...)
		}
		if len(*buf) < wireHead+size {
			return all
		}
		// Messages keep parts of what they are read from.
		body := bytes.Clone((*buf)[wireHead : wireHead+size])
		*buf = (*buf)[wireHead+size:]
		m, ok := p.message(dialler, kind, body)
		if !ok {
			p.lost = true
			return append(all, notUnderstood...)
		}
		all = append(all, m)
	}
}

func (p *peerTalk) message(dialler bool, kind byte, body []byte) (m trace.Message, ok bool) {
	if dialler {
		req, resp := newMessages(kind)
		if !p.decode(req, body) {
			p.unnamed = true
			if req, _ = newMessages(kind); !p.decode(req, body) {
				return m, false
			}
		}
		if s, ok := req.(*raft.InstallSnapshotRequest); ok {
			p.data = s.Size
		}
		m = tellPeer(req)
		p.open = append(p.open, exchange{req, resp, m.Keys})
		return m, true
	}
	if len(p.open) == 0 {
		return m, false
	}
	asked, resp := p.open[0].req, p.open[0].resp
	m.Keys = p.open[0].keys
	p.open = p.open[1:]
	if kind != 0 {
		m.Kind, m.Reply, m.Text = rpcName(resp), true, "error: "+string(body)
		return m, true
	}
	if !p.decode(resp, body) {
		return m, false
	}
	keys := m.Keys
	if a, ok := resp.(*raft.AppendEntriesResponse); ok && a.Success {
		m = tellAppended(asked.(*raft.AppendEntriesRequest), a)
	} else {
		m = tellPeer(resp)
	}
	m.Keys = keys
	return m, true
}

// decode reads a message, which is all that body holds.
func (p *peerTalk) decode(m any, body []byte) bool {
	code := coder{fields: fields{b: body}, unnamed: p.unnamed}
	code.message(m)
	return !code.bad && len(code.b) == 0
}

// tellAppended tells that entries were taken. Raft notes in its answer where
// the log ended before; what it is committed to follows from the two.
func tellAppended(asked *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) trace.Message {
	if n := len(asked.Entries); n > 0 {
		resp.LastLog = max(resp.LastLog, asked.Entries[n-1].Index)
	}
	m := tellPeer(resp)
	m.Idle = len(asked.Entries) == 0
	m.Sender.Commit = min(asked.LeaderCommitIndex, resp.LastLog)
	return m
}

// rpcName is AppendEntries for an AppendEntriesResponse.
func rpcName(m any) string {
	name := strings.TrimPrefix(fmt.Sprintf("%T", m), "*raft.")
	return strings.TrimSuffix(strings.TrimSuffix(name, "Request"), "Response")
}

// tellPeer says a message of raft's in words.
func tellPeer(m any) trace.Message {
	t := trace.Message{Kind: rpcName(m)}
	say := func(format string, args ...any) { t.Text = fmt.Sprintf(format, args...) }
	switch m := m.(type) {
	case *raft.AppendEntriesRequest:
		addr := senderAddr(m)
		if addr == nil {
			//lint:ignore SA1019 where releases before 1.3.7 say it
			addr = m.Leader
		}
		leader := nodeName(addr)
		t.Sender = &trace.Belief{Role: "leader", Term: m.Term, Leader: leader, Commit: m.LeaderCommitIndex}
		t.Idle = len(m.Entries) == 0
		if isHeartbeat(m) {
			say("heartbeat, term %d", m.Term)
			break
		}
		words := "no entries"
		if n := len(m.Entries); n > 0 {
			t.Sender.Last = m.Entries[n-1].Index
			words, t.Keys = tellEntries(m.Entries)
		}
		say("%s; term %d, after %d of term %d, commit %d", words, m.Term, m.PrevLogEntry, m.PrevLogTerm, m.LeaderCommitIndex)
	case *raft.AppendEntriesResponse:
		t.Reply, t.Sender = true, &trace.Belief{Term: m.Term, Last: m.LastLog}
		say("%s, term %d, log to %d", yesNo(m.Success), m.Term, m.LastLog)
	case *raft.RequestVoteRequest:
		t.Sender = &trace.Belief{Role: "candidate", Term: m.Term, Last: m.LastLogIndex}
		say("for term %d, log to %d of term %d", m.Term, m.LastLogIndex, m.LastLogTerm)
		if m.LeadershipTransfer {
			t.Text += ", the leader asked for it"
		}
	case *raft.RequestVoteResponse:
		t.Reply, t.Sender = true, &trace.Belief{Term: m.Term}
		say("%s, term %d", yesNo(m.Granted), m.Term)
	case *raft.RequestPreVoteRequest:
		t.Sender = &trace.Belief{Last: m.LastLogIndex}
		say("for term %d, log to %d of term %d", m.Term, m.LastLogIndex, m.LastLogTerm)
	case *raft.RequestPreVoteResponse:
		t.Reply = true
		say("%s, term %d", yesNo(m.Granted), m.Term)
	case *raft.InstallSnapshotRequest:
		t.Sender = &trace.Belief{Role: "leader", Term: m.Term}
		say("term %d, state at %d of term %d, %d bytes", m.Term, m.LastLogIndex, m.LastLogTerm, m.Size)
	case *raft.InstallSnapshotResponse:
		t.Reply, t.Sender = true, &trace.Belief{Term: m.Term}
		say("%s, term %d", yesNo(m.Success), m.Term)
	case *raft.TimeoutNowRequest:
		say("call for an election now")
	case *raft.TimeoutNowResponse:
		t.Reply = true
		say("yes")
	}
	return t
}

// nodeName is n1 for n1:7000.
func nodeName(addr []byte) string {
	if host, _, err := net.SplitHostPort(string(addr)); err == nil {
		return host
	}
	return string(addr)
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// tellMost is how many entries are told one by one.
const tellMost = 8

func tellEntries(entries []*raft.Log) (words string, keys []string) {
	var parts []string
	for i, l := range entries {
		if i == tellMost && len(entries) > tellMost+1 {
			parts = append(parts, fmt.Sprintf("and %d more to %d", len(entries)-tellMost, entries[len(entries)-1].Index))
			break
		}
		what, concerned := tellEntry(l)
		parts = append(parts, fmt.Sprintf("#%d %s", l.Index, what))
		keys = append(keys, concerned...)
	}
	return strings.Join(parts, ", "), keys
}

func tellEntry(l *raft.Log) (what string, keys []string) {
	switch l.Type {
	case raft.LogCommand:
		c, err := decodeCommand(l.Data)
		if err != nil {
			return "unknown command", nil
		}
		return tellCommand(c), keysOf(c.Key, c.Txn)
	case raft.LogNoop:
		return "no-op of raft's", nil
	case raft.LogConfiguration:
		return "members " + tellMembers(l.Data), nil
	case raft.LogBarrier:
		return "barrier", nil
	}
	return l.Type.String(), nil
}

// tellMembers tells a configuration of the cluster.
func tellMembers(data []byte) (words string) {
	defer func() {
		if recover() != nil { // which is how raft says that it is none
			words = "?"
		}
	}()
	var parts []string
	for _, s := range raft.DecodeConfiguration(data).Servers {
		who := string(s.ID)
		if s.Suffrage != raft.Voter {
			who += " (no vote)"
		}
		parts = append(parts, who)
	}
	return strings.Join(parts, " ")
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
	case opCAS:
		fmt.Fprintf(&b, " %s to %d", tellValue(c.From), c.Value)
	default:
		fmt.Fprintf(&b, " %d", c.Value)
	}
	return b.String()
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

// TellWritten says in words what a node writes to a file of its disk, "" if
// that can't be told.
func TellWritten(file string, b []byte) string {
	if name := path.Base(file); name != walFile && name != walFile+".new" {
		return ""
	}
	var parts []string
	for {
		records, ok := nextFrame(b)
		if !ok {
			return strings.Join(parts, ", ")
		}
		b = b[frameHeader+len(records):]
		for len(records) >= recordHeader {
			size := int(binary.LittleEndian.Uint32(records))
			if records = records[recordHeader:]; size == 0 || size > len(records) {
				break
			}
			if len(parts) < tellMost {
				parts = append(parts, tellRecord(records[:size:size]))
			} else if len(parts) == tellMost {
				parts = append(parts, "and more")
			}
			records = records[size:]
		}
	}
}

func tellRecord(body []byte) string {
	w := wal{logs: map[uint64]*raft.Log{}, keys: map[string][]byte{}}
	switch {
	case body[0] == recordBegin:
		return "begin"
	case body[0] == recordDelete:
		f := &fields{b: body[1:]}
		return fmt.Sprintf("drops #%d to #%d", f.uint(), f.uint())
	case w.apply(body) != nil:
		return "?"
	}
	for _, l := range w.logs {
		what, _ := tellEntry(l)
		return fmt.Sprintf("#%d of term %d: %s", l.Index, l.Term, what)
	}
	for key, v := range w.keys {
		if len(v) == 8 {
			return fmt.Sprintf("%s %d", key, binary.BigEndian.Uint64(v))
		}
		return fmt.Sprintf("%s %s", key, nodeName(v))
	}
	return "?"
}
