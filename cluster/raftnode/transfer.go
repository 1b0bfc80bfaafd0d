package raftnode

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/hashicorp/raft"
)

// PathTransfer answers a POST of a [TransferRequest] with a [Transferred]. Only
// the leader does; everybody else fails and names it.
const PathTransfer = "/admin/transfer"

// TransferRequest asks the leader to transfer leadership to another node.
type TransferRequest struct {
	To string `json:"to"` // one of the peers
	// Timeout is how long the node may take, in milliseconds; 0 is 5 s.
	Timeout int64 `json:"timeout_ms,omitempty"`
}

// Transferred is the result of a transfer that raft has begun.
type Transferred struct {
	// Refused is why the transfer did not succeed; "" if it did.
	Refused string `json:"refused,omitempty"`
}

func (n *Node) serveTransfer(w http.ResponseWriter, r *http.Request) {
	var req TransferRequest
	ctx, done, f := n.admin(w, r, &req, &req.Timeout)
	if f != nil {
		reply(w, nil, f)
		return
	}
	defer done()
	if n.stuck.Load() {
		reply(w, nil, didNotHappen(raft.ErrLeadershipTransferInProgress.Error()))
		return
	}
	i := slices.IndexFunc(n.cfg.Peers, func(p Peer) bool { return p.Name == req.To })
	if i < 0 {
		reply(w, nil, didNotHappen("no peer is called "+req.To))
		return
	}
	to := n.cfg.Peers[i]
	err := await(ctx, n.raft.LeadershipTransferToServer(raft.ServerID(to.Name), raft.ServerAddress(to.Addr)))
	var t Transferred
	switch {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrEnqueueTimeout),
		errors.Is(err, raft.ErrLeadershipTransferInProgress), errors.Is(err, raft.ErrRaftShutdown):
		f = didNotHappen(err.Error())
	case err != nil && ctx.Err() != nil:
		t.Refused = "raft has not said what came of it in " + patience(req.Timeout).String()
	case err != nil && strings.HasPrefix(err.Error(), "cannot find replication state"): // for a pointer, it says
		t.Refused = to.Name + " is no member"
	case err != nil:
		t.Refused = err.Error()
	}
	if t.Refused != "" && n.cfg.Bug.is(StuckTransfer) {
		n.stuck.Store(true)
	}
	reply(w, t, f)
}
