package simulated

import (
	"time"

	"github.com/hashicorp/raft"

	"coup/cluster/raftnode/coding"
)

// coder writes or reads a message of raft's: one function for each kind lists its
// fields, for both directions.
type coder struct {
	coding.Coder
	// unnamed: the message is of a release before 1.3.7, and does not say who sent it.
	// Only a trace of other nodes can contain such messages.
	unnamed bool
}

func encoder(out []byte) *coder { return &coder{Coder: coding.Coder{Write: true, Out: out}} }

func decoder(b []byte) *coder { return &coder{Coder: coding.Coder{Fields: coding.Fields{B: b}}} }

func (c *coder) header(h *raft.RPCHeader) {
	version := uint64(h.ProtocolVersion)
	c.Uint(&version)
	h.ProtocolVersion = raft.ProtocolVersion(version)
	c.sender(h)
}

func (c *coder) log(l *raft.Log) {
	appended, extensions := logExtras(l)
	kind, at := uint64(l.Type), uint64(0)
	if !appended.IsZero() {
		at = uint64(appended.UnixNano())
	}
	c.Uint(&l.Index)
	c.Uint(&l.Term)
	c.Uint(&kind)
	c.Uint(&at)
	c.Bytes(&l.Data)
	c.Bytes(extensions)
	l.Type = raft.LogType(kind)
	if !c.Write && at != 0 {
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
		c.Uint(&m.Term)
		//lint:ignore SA1019 part of the message as long as raft has it
		c.Bytes(&m.Leader)
		c.Uint(&m.PrevLogEntry)
		c.Uint(&m.PrevLogTerm)
		c.Uint(&m.LeaderCommitIndex)
		n := uint64(len(m.Entries))
		c.Uint(&n)
		for i := uint64(0); i < n && !c.Bad; i++ {
			if !c.Write {
				m.Entries = append(m.Entries, &raft.Log{})
			}
			c.log(m.Entries[i])
		}
	case *raft.AppendEntriesResponse:
		c.header(&m.RPCHeader)
		c.Uint(&m.Term)
		c.Uint(&m.LastLog)
		c.Bool(&m.Success)
		c.Bool(&m.NoRetryBackoff)
	case *raft.RequestVoteRequest:
		c.header(&m.RPCHeader)
		c.Uint(&m.Term)
		//lint:ignore SA1019 part of the message as long as raft has it
		c.Bytes(&m.Candidate)
		c.Uint(&m.LastLogIndex)
		c.Uint(&m.LastLogTerm)
		c.Bool(&m.LeadershipTransfer)
	case *raft.RequestVoteResponse:
		c.header(&m.RPCHeader)
		c.Uint(&m.Term)
		c.Bytes(&m.Peers)
		c.Bool(&m.Granted)
	case *raft.InstallSnapshotRequest:
		c.header(&m.RPCHeader)
		version, size := uint64(m.SnapshotVersion), uint64(m.Size)
		c.Uint(&version)
		c.Uint(&m.Term)
		c.Bytes(&m.Leader)
		c.Uint(&m.LastLogIndex)
		c.Uint(&m.LastLogTerm)
		c.Bytes(&m.Peers)
		c.Bytes(&m.Configuration)
		c.Uint(&m.ConfigurationIndex)
		c.Uint(&size)
		m.SnapshotVersion, m.Size = raft.SnapshotVersion(version), int64(size)
	case *raft.InstallSnapshotResponse:
		c.header(&m.RPCHeader)
		c.Uint(&m.Term)
		c.Bool(&m.Success)
	case *raft.TimeoutNowRequest:
		c.header(&m.RPCHeader)
	case *raft.TimeoutNowResponse:
		c.header(&m.RPCHeader)
	default:
		c.preVote(m)
	}
}
