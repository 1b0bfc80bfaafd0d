package cluster_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"coup/cluster"
	"coup/harness"
	"coup/plan"
	"coup/runner"
	"coup/workloads"
)

// Store is a system of somebody's own: servers that take "GET key" and "SET key value",
// and answer with a line.
type Store struct{}

func (Store) Name() string { return "store" }

func (Store) Check(o cluster.Options) error {
	if o.Version != "" || o.Bug != "" || o.Reads != "" || len(o.Settings) > 0 {
		return errors.New("a store has no versions, bugs, modes of reads or settings")
	}
	return nil
}

func (Store) Pod(node cluster.Node, all []cluster.Node, _ cluster.Options) cluster.Pod {
	peers := []string{}
	for _, n := range all {
		peers = append(peers, n.Host)
	}
	return cluster.Pod{
		Containers: []cluster.Container{{Name: "store", Image: "store:1", Args: []string{"--me", node.Host, "--peers", strings.Join(peers, ",")}}},
		Ports:      []cluster.Port{{Name: "store", Number: 7000}},
		Data:       []cluster.Dir{{Path: "/data"}},
	}
}

func (Store) Open(a cluster.Access, node string, _ cluster.Options) (cluster.Conn, error) {
	return &storeConn{access: a, node: node}, nil
}

// storeConn is a client. It implements cluster.Register, so that coup can test registers.
type storeConn struct {
	access cluster.Access
	node   string
}

func (c *storeConn) Close() error { return nil }
func (c *storeConn) Node() string { return c.node }

func (c *storeConn) ask(ctx context.Context, request string) (string, error) {
	conn, err := c.access.Dial(ctx, c.node, "store")
	if err != nil {
		return "", fmt.Errorf("%w: %w", harness.ErrFail, err) // nothing was sent
	}
	defer conn.Close()
	if t, ok := ctx.Deadline(); ok {
		conn.SetDeadline(t)
	}
	if _, err := fmt.Fprintln(conn, request); err != nil {
		return "", err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(answer), err // an error here says nothing about what happened
}

func (c *storeConn) Read(ctx context.Context, key string) (*int64, error) {
	answer, err := c.ask(ctx, "GET "+key)
	if err != nil || answer == "" {
		return nil, err
	}
	v, err := strconv.ParseInt(answer, 10, 64)
	return &v, err
}

func (c *storeConn) Write(ctx context.Context, key string, v int64) error {
	_, err := c.ask(ctx, fmt.Sprint("SET ", key, " ", v))
	return err
}

func (c *storeConn) CAS(context.Context, string, *int64, int64) (*int64, error) {
	return nil, fmt.Errorf("%w: a store has no compare-and-set", harness.ErrFail)
}

// access is a cluster of one node, on this machine.
type access struct {
	cluster.Access
	address string
}

func (a access) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", a.address)
}

// A system of one's own needs four methods, and a client that implements what a workload
// asks for. With an image store:1 on the engine, runner.Run would test it.
func ExampleSystem() {
	p := plan.Default()
	p.Nemesis, p.Seed = []string{"kill:n1", "partition:halves"}, 1
	if err := p.ResolveFor(Store{}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s, %d nodes, %d strikes\n", p.System, p.Nodes, len(p.Schedule))
	_ = runner.Options{System: Store{}} // dir, verdict, err := runner.Run(ctx, ctx, p, these)

	// The client, as a process of a run uses it, against a server in this process.
	conn, err := Store{}.Open(access{address: serveStore()}, "n1", p.Options())
	if err != nil {
		fmt.Println(err)
		return
	}
	register, err := workloads.Find("register")
	if err != nil {
		fmt.Println(err)
		return
	}
	client := register.Client(conn)
	defer client.Close()
	for _, op := range []harness.Op{{F: "write", Key: "k", Value: int64(5)}, {F: "read", Key: "k"}, {F: "read", Key: "other"}} {
		value, err := client.Invoke(context.Background(), op)
		fmt.Println(op.F, op.Key, value, err)
	}
	// Output:
	// store, 5 nodes, 15 strikes
	// write k <nil> <nil>
	// read k 5 <nil>
	// read other nothing <nil>
}

// serveStore serves a store in memory.
func serveStore() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	values := map[string]string{}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			request, _ := bufio.NewReader(conn).ReadString('\n')
			words := strings.Fields(request)
			if len(words) == 3 {
				values[words[1]] = words[2]
			}
			if len(words) > 1 {
				fmt.Fprintln(conn, values[words[1]])
			}
			conn.Close()
		}
	}()
	return l.Addr().String()
}
