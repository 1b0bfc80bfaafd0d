package raftnode

import (
	"encoding/binary"
	"time"

	"github.com/hashicorp/raft"
)

// coder writes or reads a message of raft's or a command, field by field: one
// function for each says what it consists of, for both directions.
type coder struct {
	fields        // what is left to read
	out    []byte // what was written
	write  bool
	// unnamed: the message is of a release before 1.3.7, and does not say who
	// sent it. Only who overhears other nodes can meet one.
	unnamed bool
}

func (c *coder) uint(v *uint64) {
	switch {
	case !c.write:
		*v = c.fields.uint()
	case *v < oneByte:
		c.out = append(c.out, byte(*v))
	default:
		c.out = binary.AppendUvarint(c.out, *v)
	}
}

func (c *coder) int(v *int64) {
	if c.write {
		c.out = binary.AppendVarint(c.out, *v)
	} else {
		*v = c.fields.int()
	}
}

// optional codes a number that may be missing.
func (c *coder) optional(v **int64) {
	there := *v != nil
	if c.bool(&there); !there {
		return
	}
	if !c.write {
		*v = new(int64)
	}
	c.int(*v)
}

func (c *coder) bool(v *bool) {
	n := uint64(0)
	if *v {
		n = 1
	}
	c.uint(&n)
	*v = n == 1
}

func (c *coder) bytes(v *[]byte) {
	n := uint64(len(*v))
	c.uint(&n)
	if c.write {
		c.out = append(c.out, *v...)
	} else {
		*v = c.fields.bytes(n)
	}
}

func (c *coder) string(v *string) {
	n := uint64(len(*v))
	c.uint(&n)
	if c.write {
		c.out = append(c.out, *v...)
	} else {
		*v = string(c.fields.bytes(n))
	}
}

func (c *coder) header(h *raft.RPCHeader) {
	version := uint64(h.ProtocolVersion)
	c.uint(&version)
	h.ProtocolVersion = raft.ProtocolVersion(version)
	c.sender(h)
}

func (c *coder) log(l *raft.Log) {
	appended, extensions := logExtras(l)
	kind, at := uint64(l.Type), uint64(0)
	if !appended.IsZero() {
		at = uint64(appended.UnixNano())
	}
	c.uint(&l.Index)
	c.uint(&l.Term)
	c.uint(&kind)
	c.uint(&at)
	c.bytes(&l.Data)
	c.bytes(extensions)
	l.Type = raft.LogType(kind)
	if !c.write && at != 0 {
		*appended = time.Unix(0, int64(at))
	}
}

// The messages by the byte that names them on the wire.
const (
	wireAppend byte = 1 + iota
	wireVote
	wirePreVote
	wireSnapshot
	wireTimeoutNow
)

// newMessages returns an empty request and response of a kind; nil if there is none.
func newMessages(kind byte) (req, resp any) {
	switch kind {
	case wireAppend:
		return &raft.AppendEntriesRequest{}, &raft.AppendEntriesResponse{}
	case wireVote:
		return &raft.RequestVoteRequest{}, &raft.RequestVoteResponse{}
	case wirePreVote:
		return newPreVotes()
	case wireSnapshot:
		return &raft.InstallSnapshotRequest{}, &raft.InstallSnapshotResponse{}
	case wireTimeoutNow:
		return &raft.TimeoutNowRequest{}, &raft.TimeoutNowResponse{}
	}
	return nil, nil
}

// message codes any message. What is not one of raft's is bad.
func (c *coder) message(m any) {
	switch m := m.(type) {
	case *raft.AppendEntriesRequest:
		c.header(&m.RPCHeader)
		c.uint(&m.Term)
		//lint:ignore SA1019 part of the message as long as raft has it
		c.bytes(&m.Leader)
		c.uint(&m.PrevLogEntry)
		c.uint(&m.PrevLogTerm)
		c.uint(&m.LeaderCommitIndex)
		n := uint64(len(m.Entries))
		c.uint(&n)
		for i := uint64(0); i < n && !c.bad; i++ {
			if !c.write {
				m.Entries = append(m.Entries, &raft.Log{})
			}
			c.log(m.Entries[i])
		}
	case *raft.AppendEntriesResponse:
		c.header(&m.RPCHeader)
		c.uint(&m.Term)
		c.uint(&m.LastLog)
		c.bool(&m.Success)
		c.bool(&m.NoRetryBackoff)
	case *raft.RequestVoteRequest:
		c.header(&m.RPCHeader)
		c.uint(&m.Term)
		//lint:ignore SA1019 part of the message as long as raft has it
		c.bytes(&m.Candidate)
		c.uint(&m.LastLogIndex)
		c.uint(&m.LastLogTerm)
		c.bool(&m.LeadershipTransfer)
	case *raft.RequestVoteResponse:
		c.header(&m.RPCHeader)
		c.uint(&m.Term)
		c.bytes(&m.Peers)
		c.bool(&m.Granted)
	case *raft.InstallSnapshotRequest:
		c.header(&m.RPCHeader)
		version, size := uint64(m.SnapshotVersion), uint64(m.Size)
		c.uint(&version)
		c.uint(&m.Term)
		c.bytes(&m.Leader)
		c.uint(&m.LastLogIndex)
		c.uint(&m.LastLogTerm)
		c.bytes(&m.Peers)
		c.bytes(&m.Configuration)
		c.uint(&m.ConfigurationIndex)
		c.uint(&size)
		m.SnapshotVersion, m.Size = raft.SnapshotVersion(version), int64(size)
	case *raft.InstallSnapshotResponse:
		c.header(&m.RPCHeader)
		c.uint(&m.Term)
		c.bool(&m.Success)
	case *raft.TimeoutNowRequest:
		c.header(&m.RPCHeader)
	case *raft.TimeoutNowResponse:
		c.header(&m.RPCHeader)
	default:
		c.preVote(m)
	}
}
