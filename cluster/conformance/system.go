package conformance

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"coup/cluster"
	"coup/harness"
	"coup/nemesis"
	"coup/workloads"
)

// CheckSystem tests a system that runs on a cluster of at least three nodes, and returns
// everything that differs from what package cluster promises: what each operation of each
// connection means, what its errors say, who leads, what nodes tell of themselves, and
// that a restarted node has the data that it had. It runs under rt and leaves the cluster
// healed.
//
// It waits for what must come true; for what must not happen, it looks once. So no outcome
// depends on the speed of the machine. How long each step took, and what was found in it,
// goes to log as it happens: a test that runs out of time has said where.
func CheckSystem(ctx context.Context, rt harness.Runtime, sys cluster.System, c cluster.Cluster, o cluster.Options, log func(format string, args ...any)) error {
	k := &contract{check: check{ctx: ctx, rt: rt, sys: sys, c: c}, o: o, log: log}
	for _, n := range c.Nodes() {
		k.nodes = append(k.nodes, n.Name)
	}
	if len(k.nodes) < 3 {
		return errors.New("conformance: a cluster of three nodes is needed")
	}
	k.step("description", k.description)
	k.step("start", k.serves)
	if len(k.errs) > 0 { // all other checks would fail for the same reason
		return errors.Join(k.errs...)
	}
	for i, n := range k.nodes {
		k.step("operations at "+n, func() { k.operations(n, fmt.Sprint("at-", i)) })
	}
	k.step("clients together", k.together)
	k.step("leader", k.leader)
	k.errors()
	k.step("memory", k.memory)
	k.step("transfer", k.transfer)
	k.step("membership", k.membership)
	k.step("digests", k.digests)
	return errors.Join(k.errs...)
}

// contract checks a system; of what check knows it needs nothing but the tools.
type contract struct {
	check
	o cluster.Options
	n int // connections that were opened
	// supported are the workloads that the system said it can do before anything ran.
	supported []string
	log       func(format string, args ...any)
	logged    int // errors that were logged
}

// step is a part of the contract, which is timed.
func (k *contract) step(name string, do func()) {
	begun := k.rt.Now()
	do()
	k.log("%s: %.1f s", name, (k.rt.Now() - begun).Seconds())
	for ; k.logged < len(k.errs); k.logged++ {
		k.log("%v", k.errs[k.logged])
	}
}

// opTimeout bounds an operation that has to succeed, on a machine that is busy, and
// lostTimeout one that can't.
const (
	opTimeout   = 30 * time.Second
	lostTimeout = 1500 * time.Millisecond
)

// open connects a client of its own to a node.
func (k *contract) open(node string) cluster.Conn {
	k.n++
	o := k.o
	o.Client = fmt.Sprintf("contract%d", k.n)
	conn, err := k.sys.Open(k.c, node, o)
	if err != nil {
		k.errs = append(k.errs, fmt.Errorf("open a connection to %s: %w", node, err))
		return nil
	}
	return conn
}

// within performs do with a deadline.
func (k *contract) within(d time.Duration, do func(ctx context.Context) error) error {
	ctx, cancel := k.rt.WithTimeout(k.ctx, d)
	defer cancel()
	return do(ctx)
}

// must performs an operation that has to succeed. One that certainly did not happen,
// because there was no leader for a moment or another client was faster, is tried again.
func (k *contract) must(what string, do func(ctx context.Context) error) bool {
	until := k.rt.Now() + patience
	for {
		err := k.within(opTimeout, do)
		if err == nil {
			return true
		}
		if !errors.Is(err, harness.ErrFail) || k.rt.Now() > until {
			k.errs = append(k.errs, fmt.Errorf("%s: %w", what, err))
			return false
		}
		harness.Sleep(k.ctx, k.rt, k.rt.Now()+50*time.Millisecond)
	}
}

// refused expects that an operation fails, and says that it certainly did not happen.
func (k *contract) refused(what, how string, do func(ctx context.Context) error) {
	err := k.within(opTimeout, do)
	k.expect(fmt.Sprintf("%s: %s fails, and certainly did not happen (%v)", what, how, err), errors.Is(err, harness.ErrFail))
}

// same expects a value.
func (k *contract) same(what string, got, want any) {
	if !reflect.DeepEqual(got, want) {
		k.errs = append(k.errs, fmt.Errorf("%s: %s, want %s", what, shown(got), shown(want)))
	}
}

func shown(v any) string {
	if p, ok := v.(*int64); ok {
		if p == nil {
			return "nothing"
		}
		return fmt.Sprint(*p)
	}
	return fmt.Sprintf("%+v", v)
}

func num(v int64) *int64 { return &v }

// description checks what a system says of itself before anything runs.
func (k *contract) description() {
	if err := k.sys.Check(k.o); err != nil {
		k.errs = append(k.errs, fmt.Errorf("the options of the test: %w", err))
	}
	k.expect("a setting that there is not is refused", k.sys.Check(cluster.Options{Settings: map[string]string{"no-such-setting": "1"}}) != nil)
	k.expect("a mode of reads that there is not is refused", k.sys.Check(cluster.Options{Reads: "no-such-mode"}) != nil)
	var ports []cluster.Port
	for i, n := range k.c.Nodes() {
		pod := k.sys.Pod(n, k.c.Nodes(), k.o)
		if err := pod.Check(); err != nil {
			k.errs = append(k.errs, fmt.Errorf("the pod of %s: %w", n.Name, err))
		}
		k.expect("a pod is described the same way each time", reflect.DeepEqual(pod, k.sys.Pod(n, k.c.Nodes(), k.o)))
		bare := k.sys.Pod(cluster.Node{Name: n.Name, Role: n.Role}, k.c.Nodes(), k.o)
		k.expect("ports do not depend on hosts", reflect.DeepEqual(pod.Ports, bare.Ports))
		if i == 0 {
			ports = pod.Ports
		}
	}
	k.expect("clients have a port", slices.ContainsFunc(ports, func(p cluster.Port) bool { return !p.Peers }))
	if i, ok := k.sys.(cluster.Imaged); ok {
		recipes, err := i.Images(k.o)
		k.expect("the images are known", err == nil && len(recipes) > 0)
	}
	if s, ok := k.sys.(cluster.Tunable); ok {
		for name, values := range s.Tunings() {
			k.expect(name+" has values worth trying", len(values) > 0)
			for _, v := range values {
				o := k.o
				o.Settings = map[string]string{name: v}
				k.expect(fmt.Sprintf("the setting %s=%s is worth trying", name, v), k.sys.Check(o) == nil)
			}
		}
	}
	var err error
	if k.supported, err = workloads.Supported(k.sys, k.o); err != nil {
		k.errs = append(k.errs, fmt.Errorf("what clients can do is known before anything runs: %w", err))
	} else {
		k.expect("clients can do what a workload asks for", len(k.supported) > 0)
	}
}

// serves waits until clients can work.
func (k *contract) serves() {
	switch s := k.sys.(type) {
	case cluster.Readiness:
		k.eventually("it is ready", func() bool {
			return k.within(opTimeout, func(ctx context.Context) error { return s.Ready(ctx, k.c, k.o) }) == nil
		})
	case cluster.Informer:
		k.eventually("a leader is found that all follow", func() bool { _, ok := k.led(); return ok })
	}
	if s, ok := k.sys.(cluster.Initializer); ok {
		k.must("init", func(ctx context.Context) error { return s.Init(ctx, k.c, k.o) })
		k.must("init once more", func(ctx context.Context) error { return s.Init(ctx, k.c, k.o) })
	}
}

// led is the leader that every node follows.
func (k *contract) led() (leader string, ok bool) {
	all := nemesis.Statuses(k.ctx, k.rt, k.sys, k.c)
	leader, _ = nemesis.LeaderOf(all)
	for _, s := range all {
		if s.Leader != leader {
			return "", false
		}
	}
	return leader, leader != "" && len(all) == len(k.nodes)
}

// operations checks what each operation at a node means, on objects of their own.
func (k *contract) operations(node, key string) {
	conn := k.open(node)
	if conn == nil {
		return
	}
	defer conn.Close()
	for _, name := range workloads.Names() {
		k.expect(fmt.Sprintf("%s: a client that is connected can do the workload %s if that was said before", node, name),
			workloads.All[name].Supports(conn) == slices.Contains(k.supported, name))
	}
	if r, ok := conn.(cluster.Register); ok {
		k.register(node+": register", r, key)
	}
	if s, ok := conn.(cluster.Set); ok {
		k.set(node+": set", s, key)
	}
	if q, ok := conn.(cluster.Queue); ok {
		k.queue(node+": queue", q, key)
	}
	if m, ok := conn.(cluster.Messages); ok {
		k.messages(node+": messages", m, key)
	}
	if c, ok := conn.(cluster.Counter); ok {
		k.counter(node+": counter", c, key)
	}
	if t, ok := conn.(cluster.Transactions); ok {
		k.transactions(node+": transactions", t, key)
	}
	if l, ok := conn.(cluster.Lock); ok {
		k.lock(node+": lock", l, key)
	}
	if l, ok := conn.(cluster.Logs); ok {
		k.logs(node+": log", l, key)
	}
	if b, ok := conn.(cluster.Bank); ok {
		k.bank(node+": bank", b)
	}
	if j, ok := conn.(cluster.Jobs); ok {
		k.jobs(node+": jobs", j, key)
	}
	if s, ok := conn.(cluster.Storage); ok {
		k.storage(node+": storage", s, key)
	}
	if c, ok := conn.(cluster.Cache); ok {
		k.cache(node+": cache", c, key)
	}
	if t, ok := conn.(cluster.Tasks); ok {
		k.tasks(node+": tasks", t, key)
	}
	if d, ok := conn.(cluster.Deliveries); ok {
		k.deliveries(node+": deliveries", d, key)
	}
	k.expect(node+": the node that was asked last is one of the nodes", slices.Contains(k.nodes, conn.Node()))
}

func (k *contract) register(what string, r cluster.Register, key string) {
	var got *int64
	read := func(ctx context.Context) (err error) { got, err = r.Read(ctx, key); return err }
	cas := func(from *int64, to int64) func(ctx context.Context) error {
		return func(ctx context.Context) (err error) { got, err = r.CAS(ctx, key, from, to); return err }
	}
	k.must(what+": read", read)
	k.same(what+": a register that nobody has written", got, (*int64)(nil))
	k.must(what+": cas", cas(num(4), 5))
	k.same(what+": cas from a value on a register without one saw", got, (*int64)(nil))
	k.must(what+": cas", cas(nil, 6))
	k.same(what+": cas from nothing saw", got, (*int64)(nil))
	k.must(what+": read", read)
	k.same(what+": after a cas from nothing", got, num(6))
	k.must(what+": cas", cas(nil, 7))
	k.same(what+": cas from nothing on a register with a value saw", got, num(6))
	k.must(what+": write", func(ctx context.Context) error { return r.Write(ctx, key, -8) })
	k.must(what+": read", read)
	k.same(what+": after a write", got, num(-8))
	k.must(what+": cas", cas(num(9), 10))
	k.same(what+": cas from another value saw", got, num(-8))
	k.must(what+": read", read)
	k.same(what+": after a cas that did not succeed", got, num(-8))
	k.must(what+": cas", cas(num(-8), 11))
	k.same(what+": a cas that succeeded saw", got, num(-8))
	k.must(what+": read", read)
	k.same(what+": after a cas that succeeded", got, num(11))
	k.must(what+": read", func(ctx context.Context) (err error) { got, err = r.Read(ctx, key+"-other"); return err })
	k.same(what+": another register", got, (*int64)(nil))
}

func (k *contract) set(what string, s cluster.Set, key string) {
	var got []int64
	read := func(ctx context.Context) (err error) { got, err = s.SetRead(ctx, key); return err }
	k.must(what+": read", read)
	k.same(what+": an empty set has elements", len(got), 0)
	for _, v := range []int64{30, 2, -1, 2} {
		k.must(what+": add", func(ctx context.Context) error { return s.SetAdd(ctx, key, v) })
	}
	k.must(what+": read", read)
	slices.Sort(got)
	k.same(what+": after adding 30, 2, -1 and 2 again", got, []int64{-1, 2, 30})
}

func (k *contract) queue(what string, q cluster.Queue, key string) {
	var got *int64
	dequeue := func(ctx context.Context) (err error) { got, err = q.Dequeue(ctx, key); return err }
	k.must(what+": dequeue", dequeue)
	k.same(what+": dequeue of an empty queue", got, (*int64)(nil))
	in := []int64{3, 1, 2, 1, 20, 100}
	for _, v := range in {
		k.must(what+": enqueue", func(ctx context.Context) error { return q.Enqueue(ctx, key, v) })
	}
	for i, v := range in {
		k.must(what+": dequeue", dequeue)
		k.same(fmt.Sprintf("%s: dequeue %d", what, i+1), got, num(v))
	}
	k.must(what+": dequeue", dequeue)
	k.same(what+": dequeue of a queue that is empty again", got, (*int64)(nil))
}

// received takes messages until there is none.
func received(ctx context.Context, m cluster.Messages, key string) (all []int64, err error) {
	for {
		v, err := m.Consume(ctx, key)
		if v == nil || err != nil {
			return all, err
		}
		all = append(all, *v)
	}
}

// messages checks that each message comes out, and that no message does which nobody has sent.
// Whether it comes out once more is up to the system.
func (k *contract) messages(what string, m cluster.Messages, key string) {
	var got []int64
	receive := func(ctx context.Context) error {
		more, err := received(ctx, m, key)
		got = append(got, more...)
		return err
	}
	k.must(what+": consume", receive)
	k.same(what+": messages of a queue that is empty", len(got), 0)
	in := []int64{3, 1, 2, 20, 100}
	for _, v := range in {
		k.must(what+": publish", func(ctx context.Context) error { return m.Publish(ctx, key, v) })
	}
	k.must(what+": consume", receive)
	slices.Sort(got)
	slices.Sort(in)
	k.same(what+": what came out", slices.Compact(got), in)
}

func (k *contract) counter(what string, c cluster.Counter, key string) {
	var got int64
	read := func(ctx context.Context) (err error) { got, err = c.CounterRead(ctx, key); return err }
	k.must(what+": read", read)
	k.same(what+": a counter that nobody has added to", got, int64(0))
	for _, v := range []int64{5, -2, 0} {
		k.must(what+": add", func(ctx context.Context) error { return c.CounterAdd(ctx, key, v) })
	}
	k.must(what+": read", read)
	k.same(what+": after adding 5, -2 and 0", got, int64(3))
}

func (k *contract) logs(what string, l cluster.Logs, key string) {
	var got []cluster.Message
	next := int64(0)
	poll := func(from int64) func(ctx context.Context) error {
		return func(ctx context.Context) (err error) { got, next, err = l.Poll(ctx, key, from); return err }
	}
	k.must(what+": poll", poll(0))
	k.same(what+": a log that nobody has sent to has messages", len(got), 0)
	in := []int64{7, 3, -1}
	var at []*int64
	for _, v := range in {
		k.must(what+": publish", func(ctx context.Context) error {
			offset, err := l.Send(ctx, key, v)
			at = append(at, offset)
			return err
		})
	}
	var all []cluster.Message
	for next = 0; len(all) <= len(in); all = append(all, got...) {
		if k.must(what+": poll", poll(next)); len(got) == 0 {
			break
		}
	}
	var values []int64
	for i, m := range all {
		values = append(values, m.Value)
		if i < len(at) && at[i] != nil && m.Offset != nil {
			k.same(fmt.Sprintf("%s: the offset of message %d", what, i+1), m.Offset, at[i])
		}
	}
	k.same(what+": after sending 7, 3 and -1", values, in)
	k.must(what+": poll", poll(next))
	k.same(what+": a log that was polled to its end has messages", len(got), 0)
}

func (k *contract) transactions(what string, t cluster.Transactions, key string) {
	a, b := key+"-a", key+"-b"
	var got []cluster.Micro
	txn := func(steps ...cluster.Micro) func(ctx context.Context) error {
		return func(ctx context.Context) (err error) { got, err = t.Txn(ctx, steps); return err }
	}
	read := func(key string) cluster.Micro { return cluster.Micro{F: "r", Key: key} }
	saw := func(key string, list ...int64) cluster.Micro { return cluster.Micro{F: "r", Key: key, List: list} }
	add := func(key string, v int64) cluster.Micro { return cluster.Micro{F: "append", Key: key, Value: v} }
	expect := func(when string, want ...cluster.Micro) {
		for i := range got {
			if len(got[i].List) == 0 {
				got[i].List = nil
			}
		}
		k.same(what+": "+when, got, want)
	}
	k.must(what, txn(read(a), read(b)))
	expect("lists that nobody has appended to", saw(a), saw(b))
	k.must(what, txn(add(a, 1), read(a), add(b, 2), add(a, 3), read(a), read(b)))
	expect("reads of what the transaction itself has appended", add(a, 1), saw(a, 1), add(b, 2), add(a, 3), saw(a, 1, 3), saw(b, 2))
	k.must(what, txn(add(a, 4)))
	expect("a transaction that only appends", add(a, 4))
	k.must(what, txn(read(b), read(a), read(b)))
	expect("what transactions before have appended", saw(b, 2), saw(a, 1, 3, 4), saw(b, 2))
}

// bank checks transfers; it leaves the accounts as they were.
func (k *contract) bank(what string, b cluster.Bank) {
	want, got := map[string]int64{}, map[string]int64{}
	for _, a := range cluster.BankAccounts() {
		want[a] = cluster.BankBalance
	}
	read := func(when string) {
		k.must(what+": balances", func(ctx context.Context) (err error) { got, err = b.Balances(ctx); return err })
		k.same(what+": the accounts "+when, got, want)
	}
	transfer := func(from, to string, amount int64) func(ctx context.Context) error {
		return func(ctx context.Context) error { return b.Transfer(ctx, from, to, amount) }
	}
	first, second := cluster.BankAccounts()[0], cluster.BankAccounts()[1]
	read("at first")
	k.must(what+": transfer", transfer(first, second, 7))
	want[first], want[second] = want[first]-7, want[second]+7
	read("after a transfer")
	err := k.within(opTimeout, transfer(first, second, cluster.BankBalance))
	k.expect(fmt.Sprintf("%s: an account does not give more than it has (%v)", what, err), errors.Is(err, harness.ErrFail))
	k.must(what+": transfer", transfer(second, first, 7))
	want[first], want[second] = cluster.BankBalance, cluster.BankBalance
	read("after a transfer that was refused, and one back")
}

// jobs checks that each job runs, once where nothing is broken, and none that nobody has submitted.
func (k *contract) jobs(what string, j cluster.Jobs, key string) {
	for job := range int64(3) {
		k.must(what+": submit", func(ctx context.Context) error { return j.SubmitJob(ctx, key, job) })
	}
	k.same(what+": jobs that were submitted have their effect", k.ran(what, j, key, 0, 1, 2), map[int64]int{0: 1, 1: 1, 2: 1})
	k.same(what+": jobs of another key", k.ran(what, j, key+"-other"), map[int64]int{})
}

// ran waits until all of jobs had their effect, and then until the system is at rest, and
// returns how often each job of the key had it.
func (k *contract) ran(what string, j cluster.Jobs, key string, jobs ...int64) map[int64]int {
	effects := map[int64]int{}
	k.eventually(what+": the jobs run, and the system is at rest", func() bool {
		return k.within(opTimeout, func(ctx context.Context) error {
			seen, err := j.LookAtJobs(ctx, key)
			if err != nil {
				return err
			}
			clear(effects)
			for job, s := range seen.Jobs {
				if s.Effects > 0 {
					effects[job] = s.Effects
				}
			}
			if seen.Busy > 0 || slices.ContainsFunc(jobs, func(job int64) bool { return effects[job] == 0 }) {
				return errNotYet
			}
			return nil
		}) == nil
	})
	return effects
}

var errNotYet = errors.New("not yet")

func (k *contract) storage(what string, s cluster.Storage, dir string) {
	fails := func(how string, do func(ctx context.Context) error) { k.refused(what, how, do) }
	reads := func(name, want string, there bool) {
		var got []byte
		var found bool
		k.must(what+": read", func(ctx context.Context) (err error) { got, found, err = s.ReadObject(ctx, dir, name); return err })
		k.same(what+": there is an object "+name, found, there)
		k.expect(fmt.Sprintf("%s: the object %s has %d bytes that were written; it has %d", what, name, len(want), len(got)), string(got) == want)
	}
	lists := func(want ...string) {
		var got []string
		k.must(what+": list", func(ctx context.Context) (err error) { got, err = s.ListObjects(ctx, dir); return err })
		slices.Sort(got)
		k.expect(fmt.Sprintf("%s: the list is %v; it is %v", what, want, got), slices.Equal(got, want))
	}
	write := func(name, content string) func(ctx context.Context) error {
		return func(ctx context.Context) error { return s.WriteObject(ctx, dir, name, []byte(content)) }
	}
	rename := func(from, to string) func(ctx context.Context) error {
		return func(ctx context.Context) error { return s.RenameObject(ctx, dir, from, to) }
	}
	add := func(name, content string) func(ctx context.Context) error {
		return func(ctx context.Context) error { return s.AppendObject(ctx, dir, name, []byte(content)) }
	}
	long := strings.Repeat("0123456789abcdef", 512)
	lists()
	reads("a", "", false)
	fails("an append to no object", add("a", "x"))
	fails("a rename of no object", rename("a", "b"))
	k.must(what+": write", write("a", long))
	k.must(what+": append", add("a", "x\x00y"))
	reads("a", long+"x\x00y", true)
	k.must(what+": write", write("b", long))
	lists("a", "b")
	k.must(what+": write", write("b", "short"))
	reads("b", "short", true)
	k.must(what+": rename", rename("a", "c"))
	reads("a", "", false)
	reads("c", long+"x\x00y", true)
	lists("b", "c")
}

func (k *contract) cache(what string, c cluster.Cache, key string) {
	const lease, ttl = 10 * time.Second, 20 * time.Second // that do not end meanwhile
	var got cluster.Cached
	get := func(ctx context.Context) (err error) { got, err = c.CacheGet(ctx, key, lease); return err }
	fill := func(token, v int64) func(ctx context.Context) error {
		return func(ctx context.Context) error { return c.CacheFill(ctx, key, token, v, ttl) }
	}
	fails := func(how string, do func(ctx context.Context) error) { k.refused(what, how, do) }
	invalidate := func(ctx context.Context) error { return c.CacheInvalidate(ctx, key) }
	given := func() (token int64) {
		k.must(what+": get", get)
		k.expect(what+": who finds no entry is given the lease to fill it", got.Value == nil && got.Token != nil)
		if got.Token != nil {
			token = *got.Token
		}
		return token
	}
	token := given()
	k.must(what+": get", get)
	k.expect(what+": one client at a time has the lease", got.Value == nil && got.Token == nil)
	fails("a fill by another token", fill(token+1, 5))
	k.must(what+": fill", fill(token, 6))
	k.must(what+": get", get)
	k.same(what+": the entry", got.Value, num(6))
	fails("a second fill by one lease", fill(token, 7))
	k.must(what+": invalidate", invalidate)
	token = given()
	k.must(what+": invalidate", invalidate)
	fails("a fill by a lease that an invalidation has ended", fill(token, 8))
	k.expect(what+": every lease has a token of its own", given() != token)
}

// lock checks a lock that one client uses alone; together checks what others see of it.
func (k *contract) lock(what string, l cluster.Lock, key string) {
	fails := func(how string, do func(ctx context.Context) error) { k.refused(what, how, do) }
	renew := func(ctx context.Context) error { _, err := l.Renew(ctx, key); return err }
	release := func(ctx context.Context) error { return l.Release(ctx, key) }
	acquire := func(ctx context.Context) error { _, err := l.Acquire(ctx, key); return err }
	fails("renewing a lock that one has not", renew)
	fails("releasing a lock that one has not", release)
	k.must(what+": acquire", acquire)
	k.must(what+": release", release)
	fails("releasing a lock twice", release)
}

// together checks what one client sees of what another has done at another node.
func (k *contract) together() {
	a, b := k.open(k.nodes[0]), k.open(k.nodes[1])
	if a == nil || b == nil {
		return
	}
	defer a.Close()
	defer b.Close()
	const key = "together"
	linearizable := k.o.Reads == "" || k.o.Reads == "linearizable"
	if ra, ok := a.(cluster.Register); ok && linearizable {
		rb := b.(cluster.Register)
		for v := range int64(5) {
			var got *int64
			k.must("write", func(ctx context.Context) error { return ra.Write(ctx, key, v) })
			k.must("read", func(ctx context.Context) (err error) { got, err = rb.Read(ctx, key); return err })
			k.same("what another client has written at another node", got, num(v))
		}
	}
	if qa, ok := a.(cluster.Queue); ok {
		qb := b.(cluster.Queue)
		for v := range int64(4) {
			q := []cluster.Queue{qa, qb}[v%2]
			k.must("enqueue", func(ctx context.Context) error { return q.Enqueue(ctx, key, v) })
		}
		for v := range int64(4) {
			var got *int64
			q := []cluster.Queue{qb, qa}[v/2]
			k.must("dequeue", func(ctx context.Context) (err error) { got, err = q.Dequeue(ctx, key); return err })
			k.same("the order of what two clients have enqueued", got, num(v))
		}
	}
	if ta, ok := a.(cluster.Transactions); ok {
		k.race("race-txn", ta, b.(cluster.Transactions))
	}
	if la, ok := a.(cluster.Lock); ok {
		k.exclusion("exclusion", la, b.(cluster.Lock))
	}
}

// race lets two clients append to the same lists at once. Each element that was
// acknowledged must be there once, in the same order in both lists. Elements of failed
// transactions must not be there.
func (k *contract) race(key string, ts ...cluster.Transactions) {
	const each = 20
	a, b := key+"-a", key+"-b"
	outcomes := make([][]error, len(ts))
	harness.Parallel(k.rt, len(ts), func(i int) {
		for n := range each {
			v := int64(i*each + n)
			outcomes[i] = append(outcomes[i], k.within(opTimeout, func(ctx context.Context) error {
				_, err := ts[i].Txn(ctx, []cluster.Micro{{F: "append", Key: a, Value: v}, {F: "append", Key: b, Value: v}})
				return err
			}))
		}
	})
	var got []cluster.Micro
	k.must("read what was appended", func(ctx context.Context) (err error) {
		got, err = ts[0].Txn(ctx, []cluster.Micro{{F: "r", Key: a}, {F: "r", Key: b}})
		return err
	})
	if len(got) != 2 {
		return
	}
	k.same("the order of transactions in two lists", got[0].List, got[1].List)
	done := 0
	for i, all := range outcomes {
		for n, err := range all {
			v := int64(i*each + n)
			times := 0
			for _, w := range got[0].List {
				if w == v {
					times++
				}
			}
			switch {
			case err == nil:
				done++
				k.same(fmt.Sprintf("how often %d is there, whose transaction succeeded", v), times, 1)
			case errors.Is(err, harness.ErrFail):
				k.same(fmt.Sprintf("how often %d is there, whose transaction did not happen (%v)", v, err), times, 0)
			default:
				k.expect(fmt.Sprintf("%d is there once at most", v), times <= 1)
			}
		}
	}
	k.expect("some of the transactions that race succeed", done > 0)
}

// exclusion checks that one client at a time holds a lock, and that it passes on.
func (k *contract) exclusion(key string, a, b cluster.Lock) {
	var first, second cluster.Grant
	acquire := func(l cluster.Lock, g *cluster.Grant) func(ctx context.Context) error {
		return func(ctx context.Context) (err error) { *g, err = l.Acquire(ctx, key); return err }
	}
	release := func(l cluster.Lock) func(ctx context.Context) error {
		return func(ctx context.Context) error { return l.Release(ctx, key) }
	}
	// If the machine stands still for as long as the lease lasts, this proves nothing.
	for range 5 {
		asked := k.rt.Now()
		if !k.must("acquire", acquire(a, &first)) {
			return
		}
		err := k.within(opTimeout, acquire(b, &second))
		fresh := first.Lease == 0 || k.rt.Now()-asked < first.Lease
		again := k.within(opTimeout, acquire(a, &second))
		fresh = fresh && (first.Lease == 0 || k.rt.Now()-asked < first.Lease)
		if fresh {
			k.expect(fmt.Sprintf("a lock that another client holds can't be acquired (%v)", err), errors.Is(err, harness.ErrFail))
			k.expect(fmt.Sprintf("a lock that one holds oneself can't be acquired (%v)", again), errors.Is(again, harness.ErrFail))
			k.expect("only the holder can release a lock", errors.Is(k.within(opTimeout, release(b)), harness.ErrFail))
			break
		}
		k.within(opTimeout, release(a))
		k.within(opTimeout, release(b))
	}
	var renewed cluster.Grant
	if err := k.within(opTimeout, func(ctx context.Context) (err error) { renewed, err = a.Renew(ctx, key); return err }); err == nil {
		k.same("the lease after it was renewed", renewed.Lease, first.Lease)
	}
	k.within(opTimeout, release(a)) // or its lease is over
	k.within(opTimeout, release(b))
	k.must("acquire what was released", acquire(b, &second))
	if first.Token != nil && second.Token != nil {
		k.expect("tokens grow from holder to holder", *second.Token > *first.Token)
	}
	if second.Lease > 0 {
		k.must("acquire what nobody renews", acquire(a, &first)) // it is tried until the lease is over
		err := k.within(opTimeout, func(ctx context.Context) error { _, err := b.Renew(ctx, key); return err })
		k.expect(fmt.Sprintf("a lease that is over can't be renewed (%v)", err), errors.Is(err, harness.ErrFail))
		k.within(opTimeout, release(a))
	}
}

// leader checks that the nodes tell the facts that the system claims for them (Tells).
func (k *contract) leader() {
	i, ok := k.sys.(cluster.Informer)
	if !ok {
		return
	}
	told := i.Tells()
	k.eventually("one leader is found, and every node tells what it is said to tell", func() bool {
		leader, ok := k.led()
		if !ok {
			return false
		}
		leaders := 0
		for _, s := range nemesis.Statuses(k.ctx, k.rt, k.sys, k.c) {
			if s.Role == "leader" {
				leaders++
			}
			if s.Role == "leader" != (s.Node == leader) ||
				told.Has(harness.Term) && s.Term == 0 || told.Has(harness.Position) && s.Applied == 0 ||
				told.Has(harness.Digest) && s.Hash == "" {
				return false
			}
		}
		return slices.Contains(k.nodes, leader) && leaders == 1
	})
	ctx, cancel := k.rt.WithTimeout(k.ctx, lostTimeout)
	defer cancel()
	_, err := i.Status(ctx, k.c, "nobody")
	k.expect("the status of a node that there is not is an error", err != nil)
}

// attempt performs an operation with an effect that nobody waits for longer than lostTimeout.
// value tells its effect apart.
type attempt struct {
	name string
	do   func(ctx context.Context, conn cluster.Conn, key string, value int64) error
	// happened says whether the effect is there.
	happened func(ctx context.Context, conn cluster.Conn, key string, value int64) (bool, error)
}

func has(list []int64, err error) func(v int64) (bool, error) {
	return func(v int64) (bool, error) { return slices.Contains(list, v), err }
}

// attempts are those of them that a connection can do.
func attempts(conn cluster.Conn) (all []attempt) {
	if _, ok := conn.(cluster.Set); ok {
		all = append(all, attempt{"set add",
			func(ctx context.Context, c cluster.Conn, key string, v int64) error {
				return c.(cluster.Set).SetAdd(ctx, key, v)
			},
			func(ctx context.Context, c cluster.Conn, key string, v int64) (bool, error) {
				return has(c.(cluster.Set).SetRead(ctx, key))(v)
			}})
	}
	if _, ok := conn.(cluster.Transactions); ok {
		all = append(all, attempt{"transaction",
			func(ctx context.Context, c cluster.Conn, key string, v int64) error {
				_, err := c.(cluster.Transactions).Txn(ctx, []cluster.Micro{{F: "append", Key: key, Value: v}})
				return err
			},
			func(ctx context.Context, c cluster.Conn, key string, v int64) (bool, error) {
				done, err := c.(cluster.Transactions).Txn(ctx, []cluster.Micro{{F: "r", Key: key}})
				if err != nil {
					return false, err
				}
				return slices.Contains(done[0].List, v), nil
			}})
	}
	if _, ok := conn.(cluster.Messages); ok {
		seen := map[string][]int64{} // who looks takes the messages
		all = append(all, attempt{"publish",
			func(ctx context.Context, c cluster.Conn, key string, v int64) error {
				return c.(cluster.Messages).Publish(ctx, key, v)
			},
			func(ctx context.Context, c cluster.Conn, key string, v int64) (bool, error) {
				more, err := received(ctx, c.(cluster.Messages), key)
				seen[key] = append(seen[key], more...)
				return has(seen[key], err)(v)
			}})
	}
	if _, ok := conn.(cluster.Jobs); ok {
		all = append(all, attempt{"submit",
			func(ctx context.Context, c cluster.Conn, key string, v int64) error {
				return c.(cluster.Jobs).SubmitJob(ctx, key, v)
			},
			func(ctx context.Context, c cluster.Conn, key string, v int64) (bool, error) {
				seen, err := c.(cluster.Jobs).LookAtJobs(ctx, key)
				if err == nil && seen.Busy > 0 { // it may still run
					err = fmt.Errorf("%w: %w: %d jobs are busy", harness.ErrFail, errNotYet, seen.Busy)
				}
				return seen.Jobs[v].Effects > 0, err
			}})
	}
	if _, ok := conn.(cluster.Register); ok {
		all = append(all, attempt{"write",
			func(ctx context.Context, c cluster.Conn, key string, v int64) error {
				return c.(cluster.Register).Write(ctx, fmt.Sprint(key, v), v)
			},
			func(ctx context.Context, c cluster.Conn, key string, v int64) (bool, error) {
				got, err := c.(cluster.Register).Read(ctx, fmt.Sprint(key, v))
				return got != nil && *got == v, err
			}})
	}
	if _, ok := conn.(cluster.Storage); ok {
		all = append(all, attempt{"write of an object",
			func(ctx context.Context, c cluster.Conn, dir string, v int64) error {
				return c.(cluster.Storage).WriteObject(ctx, dir, fmt.Sprint(v), fmt.Append(nil, "object ", v))
			},
			func(ctx context.Context, c cluster.Conn, dir string, v int64) (bool, error) {
				_, found, err := c.(cluster.Storage).ReadObject(ctx, dir, fmt.Sprint(v))
				return found, err
			}})
	}
	return all
}

// errors checks operations at a broken node: those that fail must not have happened, not
// even after the node is healed.
func (k *contract) errors() {
	victim := k.nodes[2]
	others := func(do func(node string) error) error {
		var errs []error
		for _, n := range k.nodes {
			if n != victim {
				errs = append(errs, do(n))
			}
		}
		return errors.Join(errs...)
	}
	for _, f := range []struct {
		name          string
		breaks, heals func() error
		promises      bool // that nothing succeeds follows from what the system promises
	}{
		{"stopped", func() error { _, err := k.c.Kill(k.ctx, victim); return err }, func() error { return k.c.Start(k.ctx, victim) }, false},
		{"frozen", func() error { _, err := k.c.Pause(k.ctx, victim); return err }, func() error { return k.c.Resume(k.ctx, victim) }, false},
		{"cut off from clients", func() error { return k.c.SetCuts(k.ctx, []cluster.Cut{{To: victim, Loss: 1}}) }, func() error { return k.c.SetCuts(k.ctx, nil) }, false},
		{"cut off from its peers", func() error {
			var cuts []cluster.Cut
			others(func(n string) error {
				cuts = append(cuts, cluster.Cut{From: n, To: victim, Loss: 1}, cluster.Cut{From: victim, To: n, Loss: 1})
				return nil
			})
			return k.c.SetCuts(k.ctx, cuts)
		}, func() error { return k.c.SetCuts(k.ctx, nil) }, true},
		// A leader takes it into its log, and may finish it when its peers are back.
		{"alone, as its peers are frozen", func() error {
			return others(func(n string) error { _, err := k.c.Pause(k.ctx, n); return err })
		}, func() error { return others(func(n string) error { return k.c.Resume(k.ctx, n) }) }, true},
	} {
		k.step("errors of a node that is "+f.name, func() {
			if leader, ok := k.led(); ok {
				victim = leader
			}
			warm, cold := k.open(victim), k.open(victim)
			if warm == nil || cold == nil {
				return
			}
			key := "broken-" + f.name
			todo := attempts(warm)
			for _, a := range todo { // the one connection is in use already
				k.must(a.name, func(ctx context.Context) error { return a.do(ctx, warm, key, 1) })
			}
			if err := f.breaks(); err != nil {
				k.errs = append(k.errs, fmt.Errorf("%s %s: %w", victim, f.name, err))
				return
			}
			type outcome struct {
				attempt
				value int64
				err   error
			}
			var all []outcome
			for i, conn := range []cluster.Conn{warm, cold, warm} {
				for _, a := range todo {
					begun := k.rt.Now()
					value := int64(10 + i)
					err := k.within(lostTimeout, func(ctx context.Context) error { return a.do(ctx, conn, key, value) })
					all = append(all, outcome{a, value, err})
					// One that promises less may take writes alone.
					alone := f.promises && cluster.LosesOf(k.sys, k.o) != ""
					k.expect(fmt.Sprintf("a %s at a node that is %s does not succeed", a.name, f.name), err != nil || conn.Node() != victim || alone)
					k.expect(fmt.Sprintf("a %s at a node that is %s ends soon after its deadline", a.name, f.name), k.rt.Now()-begun < lostTimeout+patience/4)
				}
			}
			if err := f.heals(); err != nil {
				k.errs = append(k.errs, fmt.Errorf("%s is no longer %s: %w", victim, f.name, err))
			}
			k.serves()
			// What is still on its way has to arrive first.
			if again := k.open(victim); again != nil {
				for _, a := range todo {
					// Nodes may find only now that their connections to each other are dead; then nobody knows of a write or two.
					k.eventually(fmt.Sprintf("a %s succeeds at a node that was %s", a.name, f.name), func() bool {
						return k.within(opTimeout, func(ctx context.Context) error { return a.do(ctx, again, key, 99) }) == nil
					})
				}
				for _, done := range all {
					var there bool
					k.must("look", func(ctx context.Context) (err error) {
						there, err = done.happened(ctx, again, key, done.value)
						return err
					})
					if errors.Is(done.err, harness.ErrFail) {
						k.expect(fmt.Sprintf("a %s at a node that was %s did not happen, as was said (%v)", done.name, f.name, done.err), !there)
					}
				}
				again.Close()
			}
			warm.Close()
			cold.Close()
		})
	}
}

// memory checks that nodes that are killed, all at once, and started again have what they had.
func (k *contract) memory() {
	conn := k.open(k.nodes[0])
	if conn == nil {
		return
	}
	todo := attempts(conn)
	const key = "memory"
	write := func(v int64) {
		for _, a := range todo {
			k.must(a.name, func(ctx context.Context) error { return a.do(ctx, conn, key, v) })
		}
	}
	// What an object is made of may be stored later than what is written to it (a queue of
	// RabbitMQ that is some milliseconds old has no leader after this).
	write(6)
	const settled = 3 * time.Second
	harness.Sleep(k.ctx, k.rt, k.rt.Now()+settled)
	write(7)
	conn.Close()
	if cluster.LosesOf(k.sys, k.o) != "" { // what it has acknowledged it will have passed on by then
		harness.Sleep(k.ctx, k.rt, k.rt.Now()+settled)
	}
	for _, n := range k.nodes {
		if _, err := k.c.Kill(k.ctx, n); err != nil {
			k.errs = append(k.errs, fmt.Errorf("kill %s: %w", n, err))
		}
	}
	for _, n := range k.nodes {
		if err := k.c.Start(k.ctx, n); err != nil {
			k.errs = append(k.errs, fmt.Errorf("start %s: %w", n, err))
		}
	}
	k.serves()
	for _, n := range k.nodes {
		conn := k.open(n)
		if conn == nil {
			return
		}
		for _, a := range todo {
			for _, v := range []int64{6, 7} {
				there := false
				k.must("look at "+n, func(ctx context.Context) (err error) {
					there, err = a.happened(ctx, conn, key, v)
					return err
				})
				k.expect(fmt.Sprintf("%s has what a %s has done before all nodes were killed", n, a.name), there || k.o.Reads == "stale")
			}
		}
		conn.Close()
	}
}

// transfer checks that a leader transfers leadership when it is told to.
func (k *contract) transfer() {
	t, ok := k.sys.(cluster.Transferer)
	if !ok {
		return
	}
	k.eventually("the leader hands the lead over", func() bool {
		leader, ok := k.led()
		if !ok {
			return false
		}
		to := k.nodes[(slices.Index(k.nodes, leader)+1)%len(k.nodes)]
		refused := ""
		if err := k.within(opTimeout, func(ctx context.Context) (err error) {
			refused, err = t.TransferLeader(ctx, k.c, leader, to)
			return err
		}); err != nil || refused != "" {
			return false
		}
		now, ok := k.led()
		return ok && now == to
	})
}

// membership checks that a node, and the leader too, is made no member, a member without a
// vote and a voter again, that a node which is out can be restarted, and that in the end
// it has what the others have.
func (k *contract) membership() {
	m, ok := k.sys.(cluster.Membership)
	if !ok || m.CanSetMember(k.o) != nil {
		return
	}
	k.serves()
	leader, ok := k.led()
	k.expect("a leader is found before the members change", ok)
	for i, victim := range []string{k.nodes[(slices.Index(k.nodes, leader)+1)%len(k.nodes)], leader} {
		others := slices.DeleteFunc(slices.Clone(k.nodes), func(n string) bool { return n == victim })
		conn := k.open(others[0])
		if conn == nil {
			return
		}
		todo, key := attempts(conn), fmt.Sprint("members-", i)
		v := int64(0)
		set := func(as cluster.Suffrage, want cluster.Members) {
			var got cluster.Members
			k.eventually(fmt.Sprintf("%s is made %s", victim, as), func() bool {
				by, _ := nemesis.LeaderOf(nemesis.Statuses(k.ctx, k.rt, k.sys, k.c))
				return by != "" && k.within(opTimeout, func(ctx context.Context) (err error) {
					got, err = m.SetMember(ctx, k.c, by, victim, as)
					return err
				}) == nil
			})
			k.same(fmt.Sprintf("the members when %s is %s", victim, as), got, want)
			v++
			for _, a := range todo {
				// If the leader has left, nobody knows of a write or two.
				k.eventually(a.name+" after members have changed", func() bool {
					return k.within(opTimeout, func(ctx context.Context) error { return a.do(ctx, conn, key, v) }) == nil
				})
			}
		}
		out, learner, all := cluster.Members{Voters: others}, cluster.Members{Voters: others, Nonvoters: []string{victim}}, cluster.Members{Voters: k.nodes}
		set(cluster.Absent, out)
		set(cluster.Absent, out)
		if _, err := k.c.Kill(k.ctx, victim); err != nil {
			k.errs = append(k.errs, fmt.Errorf("kill %s, which is no member: %w", victim, err))
		}
		k.expect("a node that is no member starts", k.c.Start(k.ctx, victim) == nil)
		set(cluster.Nonvoter, learner)
		set(cluster.Voter, all)
		set(cluster.Nonvoter, learner)
		set(cluster.Voter, all)
		conn.Close()
		k.serves()
		if conn = k.open(victim); conn == nil {
			return
		}
		for _, a := range todo {
			for value := range v {
				there := false
				k.must("look at "+victim, func(ctx context.Context) (err error) {
					there, err = a.happened(ctx, conn, key, value+1)
					return err
				})
				k.expect(fmt.Sprintf("%s, a voter again, has what a %s has done meanwhile", victim, a.name), there || k.o.Reads == "stale")
			}
		}
		conn.Close()
	}
}

// digests checks that all nodes hold the same when nobody writes, and that a digest
// changes with what is held.
func (k *contract) digests() {
	d, ok := k.sys.(cluster.Digester)
	if !ok {
		return
	}
	keys := []string{"at-0", "together", "memory"}
	look := func() (position uint64, digest string, agree bool) {
		for i, n := range k.nodes {
			var p uint64
			var s string
			if err := k.within(opTimeout, func(ctx context.Context) (err error) { p, s, err = d.Digest(ctx, k.c, n, keys, k.o); return err }); err != nil {
				return 0, "", false
			}
			if i > 0 && (p != position || s != digest) {
				return 0, "", false
			}
			position, digest = p, s
		}
		return position, digest, digest != ""
	}
	var before string
	k.eventually("all nodes hold the same at rest", func() (agree bool) { _, before, agree = look(); return agree })
	conn := k.open(k.nodes[0])
	if conn == nil {
		return
	}
	defer conn.Close()
	if todo := attempts(conn); len(todo) > 0 {
		k.must(todo[0].name, func(ctx context.Context) error { return todo[0].do(ctx, conn, keys[0], 123) })
		var after string
		k.eventually("all nodes hold the same after a write", func() (agree bool) { _, after, agree = look(); return agree && after != before })
	}
}
