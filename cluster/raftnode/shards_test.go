package raftnode

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func TestShardOf(t *testing.T) {
	held := map[int]int{}
	for i := range 300 {
		s := ShardOf(fmt.Sprint("k", i), 3)
		if s < 1 || s > 3 || s != ShardOf(fmt.Sprint("k", i), 3) {
			t.Fatalf("k%d is held by shard %d", i, s)
		}
		held[s]++
	}
	if len(held) != 3 || held[1] < 70 || held[2] < 70 || held[3] < 70 {
		t.Errorf("300 objects are spread as %v", held)
	}
	if ShardOf("any", 1) != 1 || ShardOf("", 3) < 1 {
		t.Error("what one shard holds, or none")
	}
}

func TestShardFlags(t *testing.T) {
	with := func(args ...string) error {
		_, err := parseFlags(append([]string{"--id=n1", "--peers=n1=a:7000", "--data=/d"}, args...), io.Discard)
		return err
	}
	if err := with("--shards=16"); err != nil {
		t.Error(err)
	}
	for _, wrong := range [][]string{{"--shards=0"}, {"--shards=17"}, {"--shards=2", "--replication=primary-backup"}} {
		if err := with(wrong...); err == nil || !strings.Contains(err.Error(), "--shards") {
			t.Errorf("%v: %v", wrong, err)
		}
	}
	f, err := parseFlags([]string{"--id=n1", "--peers=n1=a:7000,n2=[::1]:7000", "--data=/d", "--shards=3"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	peers, listen, err := shardPeers(f, 3)
	if err != nil || listen != ":7002" || peers[0].Addr != "a:7002" || peers[1].Addr != "[::1]:7002" || f.peers[0].Addr != "a:7000" || peers[0].Client != f.peers[0].Client {
		t.Errorf("%v, %s, %v", peers, listen, err)
	}
}

// Three nodes with two shards: each object is in the log of its shard, on whatever node it
// is asked for; the leaders come to the nodes that should lead; a transaction is refused.
func TestShardsOnNodes(t *testing.T) {
	virtually(t, func(t *testing.T) {
		network := newMemoryNet()
		c := &testCluster{t: t, net: network, client: network.client()}
		const shardsHere = 2
		life, end := context.WithCancel(context.Background())
		defer end()
		var fronts []*shards
		for i := range 3 {
			c.peers = append(c.peers, Peer{Name: fmt.Sprint("n", i+1), Client: fmt.Sprintf("n%d:8000", i+1)})
		}
		trans := map[int][]*raft.InmemTransport{}
		events := &lockedBuffer{}
		for i := range 3 {
			front := &shards{serving: make(chan struct{}), stop: func() {}}
			for shard := 1; shard <= shardsHere; shard++ {
				var peers []Peer
				for _, p := range c.peers {
					p.Addr = fmt.Sprintf("%s:%d", p.Name, 6999+shard)
					peers = append(peers, p)
				}
				_, own := raft.NewInmemTransport(raft.ServerAddress(peers[i].Addr))
				for _, other := range trans[shard] {
					other.Connect(own.LocalAddr(), own)
					own.Connect(other.LocalAddr(), other)
				}
				trans[shard] = append(trans[shard], own)
				store := raft.NewInmemStore()
				settings := quick()
				settings.Forward = true
				n, err := start(Config{ID: peers[i].Name, Peers: peers, Shard: shard, Transport: own, Logs: store, Stable: store,
					Snapshots: raft.NewInmemSnapshotStore(), Events: events, Settings: settings,
					Dial: func(ctx context.Context, p Peer) (net.Conn, error) { return network.dial(ctx, p.Client) }})
				if err != nil {
					t.Fatal(err)
				}
				front.nodes = append(front.nodes, n)
				go n.spread()
			}
			l, err := network.listen(c.peers[i].Client)
			if err != nil {
				t.Fatal(err)
			}
			front.server = newServer(front.handler(life), nil)
			go func() {
				defer close(front.serving)
				_ = front.server.Serve(l)
			}()
			fronts = append(fronts, front)
		}
		leads := func(node, shard int) bool { return fronts[node].nodes[shard-1].raft.State() == raft.Leader }
		for range 40 { // whoever won the elections
			if leads(0, 1) && leads(1, 2) {
				break
			}
			time.Sleep(time.Second)
		}
		if !leads(0, 1) || !leads(1, 2) {
			t.Error("the leaders are not where they should be")
		}
		ask := func(node int, path, body string) (Response, *Failure) {
			r, err := c.client.Post("http://"+c.peers[node].Client+path, "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			return DecodeAnswer(r.StatusCode, r.Body)
		}
		held := map[int]int{}
		for i := range 12 {
			key := fmt.Sprint("k", i)
			if _, f := ask(i%3, PathRegisterWrite, fmt.Sprintf(`{"key":%q,"value":%d,"client":"c","seq":%d}`, key, i, i+1)); f != nil {
				t.Fatalf("write %s: %v", key, f.Reason)
			}
			if r, f := ask((i+1)%3, PathRegisterRead, fmt.Sprintf(`{"key":%q}`, key)); f != nil || r.Value == nil || *r.Value != int64(i) {
				t.Errorf("read %s: %v, %v", key, r, f)
			}
			for shard := 1; shard <= shardsHere; shard++ {
				fronts[0].nodes[shard-1].fsm.view(func(s *state) {
					if has := s.register(key) != nil; has != (ShardOf(key, shardsHere) == shard) && (has || leads(0, shard)) {
						t.Errorf("shard %d: holds %s is %v", shard, key, has)
					}
				})
			}
			held[ShardOf(key, shardsHere)]++
		}
		if len(held) != shardsHere {
			t.Errorf("all objects are held by the same shard: %v", held)
		}
		if _, f := ask(0, PathTxnRead, `{"txn":[{"f":"r","k":"k1"}]}`); f == nil || f.Happened != DidNotHappen || !strings.Contains(f.Reason, "there are 2 shards") {
			t.Errorf("a transaction: %+v", f)
		}
		for _, e := range events.events() {
			if (e.Shard == 0) != (e.Kind == EventBoot || e.Kind == EventShutdown) {
				t.Errorf("%+v", e)
			}
		}
		for _, front := range fronts {
			if err := front.close(); err != nil {
				t.Error(err)
			}
		}
	})
}
