//go:build !wasip1

package simulated

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"path"
	"strings"

	"github.com/hashicorp/raft"

	"coup/cluster/raftnode/coding"
	"coup/cluster/trace"
)

// For traces: what nodes on simulated machines say to each other and write to their
// disks, in words. It is decoded from the bytes on the wire and on the disk, and the node
// does nothing for it. Everything that knows how these bytes are framed is in this package.
// A test compares it with what a real transport and a real log store do.

// Words says in words what the data of an entry of the log are to the node, and which
// objects they concern.
type Words func(data []byte) (what string, keys []string)

// Overhear reads along on a connection between nodes: see Transport.
func Overhear(words Words) trace.Conversation { return &peerTalk{words: words} }

// notUnderstood is the text for a conversation, from the moment on at which it can't
// be followed any more.
var notUnderstood = []trace.Message{{Kind: "?", Text: "not understood"}}

// peerTalk follows raft's messages.
type peerTalk struct {
	words           Words
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
		m = p.words.tellPeer(req)
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
		m = p.words.tellAppended(asked.(*raft.AppendEntriesRequest), a)
	} else {
		m = p.words.tellPeer(resp)
	}
	m.Keys = keys
	return m, true
}

// decode reads a message, which is all that body holds.
func (p *peerTalk) decode(m any, body []byte) bool {
	code := decoder(body)
	code.unnamed = p.unnamed
	code.message(m)
	return !code.Bad && len(code.B) == 0
}

// tellAppended says that entries were appended. Raft's answer holds where the log ended
// before. The new end of the log follows from that and from the request.
func (words Words) tellAppended(asked *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) trace.Message {
	if n := len(asked.Entries); n > 0 {
		resp.LastLog = max(resp.LastLog, asked.Entries[n-1].Index)
	}
	m := words.tellPeer(resp)
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
func (words Words) tellPeer(m any) trace.Message {
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
		told := "no entries"
		if n := len(m.Entries); n > 0 {
			t.Sender.Last = m.Entries[n-1].Index
			told, t.Keys = words.tellEntries(m.Entries)
		}
		say("%s; term %d, after %d of term %d, commit %d", told, m.Term, m.PrevLogEntry, m.PrevLogTerm, m.LeaderCommitIndex)
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

func (words Words) tellEntries(entries []*raft.Log) (told string, keys []string) {
	var parts []string
	for i, l := range entries {
		if i == tellMost && len(entries) > tellMost+1 {
			parts = append(parts, fmt.Sprintf("and %d more to %d", len(entries)-tellMost, entries[len(entries)-1].Index))
			break
		}
		what, concerned := words.tellEntry(l)
		parts = append(parts, fmt.Sprintf("#%d %s", l.Index, what))
		keys = append(keys, concerned...)
	}
	return strings.Join(parts, ", "), keys
}

func (words Words) tellEntry(l *raft.Log) (what string, keys []string) {
	switch l.Type {
	case raft.LogCommand:
		return words(l.Data)
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

// Wrote says what a node writes to a file of its disk, "" if that can't be told.
func (words Words) Wrote(file string, b []byte) string {
	if name := path.Base(file); name != walFile && name != walFile+".new" {
		return ""
	}
	var parts []string
	var last []byte // of the records that are too many to be told: where the log ends then
	for {
		records, ok := nextFrame(b)
		if !ok {
			if last != nil {
				parts = append(parts, words.tellRecord(last))
			}
			return strings.Join(parts, ", ")
		}
		b = b[frameHeader+len(records):]
		for len(records) >= recordHeader {
			size := int(binary.LittleEndian.Uint32(records))
			if records = records[recordHeader:]; size == 0 || size > len(records) {
				break
			}
			if len(parts) < tellMost {
				parts = append(parts, words.tellRecord(records[:size:size]))
			} else {
				if last != nil && len(parts) == tellMost {
					parts = append(parts, "and more")
				}
				last = records[:size:size]
			}
			records = records[size:]
		}
	}
}

func (words Words) tellRecord(body []byte) string {
	w := WAL{logs: map[uint64]*raft.Log{}, keys: map[string][]byte{}}
	switch {
	case body[0] == recordBegin:
		return "begin"
	case body[0] == recordDelete:
		f := &coding.Fields{B: body[1:]}
		return fmt.Sprintf("drops #%d to #%d", f.Uint(), f.Uint())
	case w.apply(body) != nil:
		return "?"
	}
	for _, l := range w.logs {
		what, _ := words.tellEntry(l)
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
