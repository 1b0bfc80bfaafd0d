package etcd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"coup/cluster"
	"coup/harness"
)

// Tells implements cluster.Informer.
func (System) Tells() harness.Facts {
	return harness.Facts{harness.Leader, harness.Term, harness.Position}
}

// Status implements cluster.Informer. It reads what the node's raft says of itself at
// one moment (/debug/vars): the answer of the Status request mixes the leader of now
// with the term of the last entry that was applied, by which two nodes seem to lead in
// one term.
func (System) Status(ctx context.Context, a cluster.Access, node string) (cluster.Status, error) {
	h := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return a.Dial(ctx, node, clients) },
	}}
	defer h.CloseIdleConnections()
	ask := func(method, path, body string, answer any) error {
		req, err := http.NewRequestWithContext(ctx, method, "http://"+node+path, bytes.NewReader([]byte(body)))
		if err != nil {
			return err
		}
		resp, err := h.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("HTTP status %s", resp.Status)
		}
		if err == nil {
			err = json.Unmarshal(b, answer)
		}
		if err != nil {
			return fmt.Errorf("status of %s: %s: %w", node, path, err)
		}
		return nil
	}
	var vars struct {
		Raft *struct {
			ID, Lead, RaftState   string
			Term, Commit, Applied uint64
		} `json:"raft.status"`
	}
	if err := ask(http.MethodGet, "/debug/vars", "", &vars); err != nil {
		return cluster.Status{}, err
	}
	if vars.Raft == nil {
		return cluster.Status{}, fmt.Errorf("status of %s: its raft has not started", node)
	}
	role, ok := map[string]string{
		"StateLeader": "leader", "StateFollower": "follower", "StateCandidate": "candidate", "StatePreCandidate": "candidate",
	}[vars.Raft.RaftState]
	if !ok {
		return cluster.Status{}, fmt.Errorf("status of %s: unknown state %q", node, vars.Raft.RaftState)
	}
	s := cluster.Status{Node: node, Role: role, Term: vars.Raft.Term, Commit: vars.Raft.Commit, Applied: vars.Raft.Applied}
	if lead, err := strconv.ParseUint(vars.Raft.Lead, 16, 64); err != nil || lead == 0 {
		return s, err
	}
	// Without a word about being linearizable, the node answers from what it has.
	var members struct {
		Members []struct{ ID, Name string }
	}
	if err := ask(http.MethodPost, "/v3/cluster/member/list", "{}", &members); err != nil {
		return cluster.Status{}, err
	}
	for _, m := range members.Members {
		if id, err := strconv.ParseUint(m.ID, 10, 64); err == nil && strconv.FormatUint(id, 16) == vars.Raft.Lead {
			s.Leader = m.Name
		}
	}
	return s, nil
}

// line is what is read of a line of etcd's log.
type line struct {
	Time    time.Time `json:"ts"`
	Message string    `json:"msg"`
	Version string    `json:"etcd-version"`
	Index   uint64    `json:"snapshot-index"`
}

var (
	became  = regexp.MustCompile(`^[0-9a-f]+ became (follower|candidate|pre-candidate|leader) at term (\d+)$`)
	calling = regexp.MustCompile(`^[0-9a-f]+ is starting a new election at term (\d+)$`)
)

// Event implements cluster.EventReader. Of followers and candidates it tells no term: etcd says
// its term before the term is on its disk, so after a crash it may be in an older one. The
// term of a leader was on disk before others could vote for it.
func (System) Event(node string, text []byte) (harness.Event, time.Time, bool) {
	if !bytes.HasPrefix(text, []byte("{")) {
		return harness.Event{}, time.Time{}, false
	}
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return harness.Event{}, time.Time{}, false
	}
	e := harness.Event{Node: node}
	switch m := became.FindStringSubmatch(l.Message); {
	case m != nil:
		e.Kind, e.Role = harness.RoleEvent, m[1]
		switch e.Role {
		case "leader":
			e.Term, _ = strconv.ParseUint(m[2], 10, 64)
		case "pre-candidate":
			e.Role = "candidate"
		}
	case calling.MatchString(l.Message):
		e.Kind = harness.ElectionEvent
		e.Term, _ = strconv.ParseUint(calling.FindStringSubmatch(l.Message)[1], 10, 64)
	case l.Message == "starting an etcd server":
		e.Kind, e.Message = harness.BootEvent, l.Version
	case l.Message == "saved snapshot" && l.Index > 0:
		e.Kind, e.Applied = harness.SnapshotEvent, l.Index
	default:
		return harness.Event{}, time.Time{}, false
	}
	return e, l.Time, true
}

// Digest implements cluster.Digester: the hash that etcd makes of all keys with all that
// was written to them since the last compaction, and its revision.
func (System) Digest(ctx context.Context, a cluster.Access, node string, keys []string, o cluster.Options) (uint64, string, error) {
	l, err := dial(a, node)
	if err != nil {
		return 0, "", err
	}
	defer l.Close()
	if err := l.ready(ctx); err != nil {
		return 0, "", err
	}
	h, err := pb.NewMaintenanceClient(l.ActiveConnection()).HashKV(ctx, &pb.HashKVRequest{})
	if err != nil {
		return 0, "", fmt.Errorf("hash of %s: %w", node, rpctypes.Error(err))
	}
	return uint64(h.Header.Revision), fmt.Sprintf("%08x since revision %d", h.Hash, h.CompactRevision), nil
}

// TransferLeader implements cluster.Transferer.
func (s System) TransferLeader(ctx context.Context, a cluster.Access, leader, to string) (refused string, err error) {
	l, err := dial(a, leader)
	if err != nil {
		return "", err
	}
	defer l.Close()
	if err := l.ready(ctx); err != nil {
		return "", err
	}
	members, err := l.MemberList(ctx)
	if err != nil {
		return "", fmt.Errorf("%w: members of %s: %w", harness.ErrFail, leader, err)
	}
	for _, m := range members.Members {
		if m.Name != to {
			continue
		}
		// Raft gives a transfer up after an election-timeout, and etcd goes on waiting.
		left, ok := harness.Left(ctx)
		if !ok {
			left = 5 * time.Second
		}
		asked, cancel := context.WithTimeout(ctx, left/2)
		_, err := l.MoveLeader(asked, m.ID)
		cancel()
		if err == nil {
			return "", nil
		}
		said := rpctypes.ErrorDesc(err)
		switch now, failed := s.Status(ctx, a, leader); {
		case errors.Is(rpctypes.Error(err), rpctypes.ErrNotLeader):
			return "", fmt.Errorf("%w: %s: %s", harness.ErrFail, leader, said)
		case errors.Is(rpctypes.Error(err), rpctypes.ErrBadLeaderTransferee):
			return said, nil
		case failed == nil && now.Role == "leader":
			return fmt.Sprintf("it still leads after %v", left/2), nil
		case failed == nil && now.Leader == to:
			return "", nil
		}
		return "", fmt.Errorf("%w: %s: %s", cluster.ErrPending, leader, said)
	}
	return to + " is no member", nil
}
