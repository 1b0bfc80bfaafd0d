package workloads_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"coup/checker"
	"coup/checker/model"
	"coup/checker/online"
	"coup/cluster"
	"coup/harness"
	"coup/harness/gen"
	"coup/workloads"
)

// memory is a system that does everything right, in memory.
type memory struct {
	mu        sync.Mutex
	registers map[string]*int64
	lists     map[string][]int64 // sets and queues
	counters  map[string]int64
	accounts  map[string]int64
	locks     map[string]holding
	dirs      map[string]map[string][]byte
	cached    map[string]cached
	boards    map[string]*taskList
	mail      map[string]*mail
	calls     int
	broken    string // the function that goes wrong now and then
}

func newMemory(broken string) *memory {
	accounts := map[string]int64{}
	for _, a := range cluster.BankAccounts() {
		accounts[a] = cluster.BankBalance
	}
	return &memory{accounts: accounts, registers: map[string]*int64{}, lists: map[string][]int64{}, counters: map[string]int64{}, locks: map[string]holding{}, dirs: map[string]map[string][]byte{}, cached: map[string]cached{}, boards: map[string]*taskList{}, mail: map[string]*mail{}, broken: broken}
}

// holding is who holds a lock, and the token of the last one who did.
type holding struct {
	client *int
	token  int64
	until  time.Time
}

// lease is short: in the end the locks that nobody has released are acquired.
const lease = 200 * time.Millisecond

// conn is a connection to it.
type conn struct {
	*memory
	client *int // tells the connections apart
}

func (conn) Close() error { return nil }
func (conn) Node() string { return "n1" }

// wrong locks the memory and reports whether this call is to go wrong.
func (m *memory) wrong(f string) bool {
	m.mu.Lock()
	m.calls++
	return f == m.broken && m.calls%7 == 0
}

func (c conn) Read(_ context.Context, key string) (*int64, error) {
	wrong := c.wrong("read")
	defer c.mu.Unlock()
	if wrong {
		return nil, nil // as if nobody had ever written
	}
	return c.registers[key], nil
}

func (c conn) Write(_ context.Context, key string, v int64) error {
	wrong := c.wrong("write")
	defer c.mu.Unlock()
	if !wrong {
		c.registers[key] = &v
	}
	return nil
}

func (c conn) CAS(_ context.Context, key string, from *int64, to int64) (*int64, error) {
	wrong := c.wrong("cas")
	defer c.mu.Unlock()
	saw := c.registers[key]
	if same := (from == nil) == (saw == nil) && (from == nil || *from == *saw); same && !wrong {
		c.registers[key] = &to
	}
	return saw, nil
}

func (c conn) SetAdd(_ context.Context, key string, v int64) error {
	wrong := c.wrong("add")
	defer c.mu.Unlock()
	if !wrong {
		c.lists[key] = append(c.lists[key], v)
	}
	return nil
}

func (c conn) SetRead(_ context.Context, key string) ([]int64, error) {
	c.wrong("")
	defer c.mu.Unlock()
	return slices.Clone(c.lists[key]), nil
}

func (c conn) Enqueue(ctx context.Context, key string, v int64) error {
	wrong := c.wrong("enqueue")
	defer c.mu.Unlock()
	if !wrong {
		c.lists[key] = append(c.lists[key], v)
	}
	return nil
}

func (c conn) Dequeue(_ context.Context, key string) (*int64, error) {
	wrong := c.wrong("dequeue")
	defer c.mu.Unlock()
	q := c.lists[key]
	if len(q) == 0 {
		return nil, nil
	}
	if !wrong {
		c.lists[key] = q[1:]
	}
	return &q[0], nil
}

func (c conn) Publish(ctx context.Context, key string, v int64) error { return c.Enqueue(ctx, key, v) }

func (c conn) Consume(ctx context.Context, key string) (*int64, error) {
	wrong := c.wrong("consume") // it makes something up
	c.mu.Unlock()
	v, err := c.Dequeue(ctx, key)
	if wrong && v != nil {
		*v = -*v
	}
	return v, err
}

func (c conn) CounterAdd(_ context.Context, key string, delta int64) error {
	wrong := c.wrong("add")
	defer c.mu.Unlock()
	if !wrong {
		c.counters[key] += delta
	}
	return nil
}

func (c conn) CounterRead(_ context.Context, key string) (int64, error) {
	c.wrong("")
	defer c.mu.Unlock()
	return c.counters[key], nil
}

func (c conn) Acquire(_ context.Context, key string) (cluster.Grant, error) {
	time.Sleep(100 * time.Microsecond) // or one process does everything before another begins
	wrong := c.wrong("acquire")
	defer c.mu.Unlock()
	h := c.locks[key]
	if h.client != nil && time.Now().Before(h.until) && !wrong { // or two hold it
		return cluster.Grant{}, fmt.Errorf("%w: somebody holds it", harness.ErrFail)
	}
	h = holding{c.client, h.token + 1, time.Now().Add(lease)}
	c.locks[key] = h
	return cluster.Grant{Token: &h.token, Lease: lease}, nil
}

func (c conn) Renew(_ context.Context, key string) (cluster.Grant, error) {
	time.Sleep(100 * time.Microsecond)
	c.wrong("")
	defer c.mu.Unlock()
	h := c.locks[key]
	if h.client != c.client || time.Now().After(h.until) {
		return cluster.Grant{}, fmt.Errorf("%w: it is not held", harness.ErrFail)
	}
	h.until = time.Now().Add(lease)
	c.locks[key] = h
	return cluster.Grant{Lease: lease}, nil
}

func (c conn) Release(_ context.Context, key string) error {
	c.wrong("")
	defer c.mu.Unlock()
	h := c.locks[key]
	if h.client != c.client || time.Now().After(h.until) {
		return fmt.Errorf("%w: it is not held", harness.ErrFail)
	}
	if c.broken == "release" {
		h.token -= 2 // the next one gets a token that was there before
	}
	c.locks[key] = holding{token: h.token}
	return nil
}

// taskList is a board of tasks.
type taskList struct {
	tasks []*listedTask
	token int64
}

type listedTask struct {
	id, token int64
	after     *int64
	until     time.Time
	done      bool
}

func (m *memory) list(key string) *taskList {
	if m.boards[key] == nil {
		m.boards[key] = &taskList{}
	}
	return m.boards[key]
}

func (l *taskList) find(id int64) *listedTask {
	for _, t := range l.tasks {
		if t.id == id {
			return t
		}
	}
	return nil
}

func (c conn) Submit(_ context.Context, key string, task int64, after *int64) error {
	wrong := c.wrong("submit")
	defer c.mu.Unlock()
	if l := c.list(key); !wrong {
		l.tasks = append(l.tasks, &listedTask{id: task, after: after})
	}
	return nil
}

func (c conn) Take(_ context.Context, key string) (*cluster.Assignment, error) {
	time.Sleep(100 * time.Microsecond)
	wrong := c.wrong("take")
	defer c.mu.Unlock()
	l := c.list(key)
	for _, t := range l.tasks {
		over := t.token == 0 || time.Now().After(t.until)
		if t.done || !over && !wrong || t.after != nil && !l.find(*t.after).done {
			continue // or two have it
		}
		l.token++
		t.token, t.until = l.token, time.Now().Add(lease)
		return &cluster.Assignment{Task: t.id, Token: t.token, Lease: lease}, nil
	}
	return nil, nil
}

func (c conn) Beat(_ context.Context, key string, task, token int64) (time.Duration, error) {
	c.wrong("")
	defer c.mu.Unlock()
	t := c.list(key).find(task)
	if t.done || t.token != token || time.Now().After(t.until) {
		return 0, fmt.Errorf("%w: too late", harness.ErrFail)
	}
	t.until = time.Now().Add(lease)
	return lease, nil
}

func (c conn) Finish(_ context.Context, key string, task, token int64) error {
	wrong := c.wrong("finish")
	defer c.mu.Unlock()
	t := c.list(key).find(task)
	if !wrong && (t.done || t.token != token || time.Now().After(t.until)) {
		return fmt.Errorf("%w: too late", harness.ErrFail)
	}
	t.done = !wrong
	return nil
}

func (c conn) Unfinished(_ context.Context, key string) ([]int64, error) {
	c.wrong("")
	defer c.mu.Unlock()
	left := []int64{}
	for _, t := range c.list(key).tasks {
		if !t.done {
			left = append(left, t.id)
		}
	}
	return left, nil
}

// mail is a queue with acknowledgements.
type mail struct {
	messages []*mailed
	dead     []int64
	token    int64
}

type mailed struct {
	id, producer, token int64
	given               int
	until               time.Time
}

func (m *memory) mailOf(key string) *mail {
	if m.mail[key] == nil {
		m.mail[key] = &mail{}
	}
	return m.mail[key]
}

func (c conn) Put(_ context.Context, key string, message, producer int64) error {
	wrong := c.wrong("put")
	defer c.mu.Unlock()
	if q := c.mailOf(key); !wrong {
		q.messages = append(q.messages, &mailed{id: message, producer: producer})
	}
	return nil
}

func (c conn) Deliver(_ context.Context, key string) (*cluster.Delivery, error) {
	time.Sleep(100 * time.Microsecond)
	wrong := c.wrong("deliver") // it forgets the order
	defer c.mu.Unlock()
	q := c.mailOf(key)
	held := map[int64]bool{}
	for i := 0; i < len(q.messages); i++ {
		m := q.messages[i]
		if held[m.producer] && !wrong || m.token != 0 && time.Now().Before(m.until) {
			held[m.producer] = true
			continue
		}
		if m.given == cluster.MostDeliveries {
			q.messages = slices.Delete(q.messages, i, i+1)
			q.dead = append(q.dead, m.id)
			i--
			continue
		}
		q.token++
		m.token, m.given, m.until = q.token, m.given+1, time.Now().Add(lease)
		return &cluster.Delivery{Message: m.id, Token: m.token, Within: lease}, nil
	}
	return nil, nil
}

func (c conn) Ack(_ context.Context, key string, message, token int64) error {
	wrong := c.wrong("ack")
	defer c.mu.Unlock()
	q := c.mailOf(key)
	i := slices.IndexFunc(q.messages, func(m *mailed) bool { return m.id == message && m.token == token && time.Now().Before(m.until) })
	switch {
	case wrong:
	case i < 0:
		return fmt.Errorf("%w: too late", harness.ErrFail)
	default:
		q.messages = slices.Delete(q.messages, i, i+1)
	}
	return nil
}

func (c conn) Waiting(_ context.Context, key string) ([]int64, error) {
	c.wrong("")
	defer c.mu.Unlock()
	left := []int64{}
	for _, m := range c.mailOf(key).messages {
		left = append(left, m.id)
	}
	return left, nil
}

func (c conn) DeadLetters(_ context.Context, key string) ([]int64, error) {
	c.wrong("")
	defer c.mu.Unlock()
	return slices.Clone(c.mailOf(key).dead), nil
}

func (c conn) Txn(_ context.Context, steps []cluster.Micro) ([]cluster.Micro, error) {
	wrong := c.wrong("txn")
	defer c.mu.Unlock()
	out := slices.Clone(steps)
	for i, m := range steps {
		switch l := c.lists[m.Key]; {
		case m.F == "append" && wrong: // lost
		case m.F == "append":
			c.lists[m.Key] = append(l, m.Value)
		case wrong && len(l) > 0: // as it was a while ago
			out[i].List = slices.Clone(l[:len(l)-1])
		default:
			out[i].List = slices.Clone(l)
		}
	}
	return out, nil
}

func (c conn) Send(_ context.Context, key string, v int64) (*int64, error) {
	wrong := c.wrong("send")
	defer c.mu.Unlock()
	at := int64(len(c.lists[key]))
	if !wrong {
		c.lists[key] = append(c.lists[key], v)
	}
	return &at, nil
}

func (c conn) Poll(_ context.Context, key string, from int64) (messages []cluster.Message, next int64, err error) {
	wrong := c.wrong("poll")
	defer c.mu.Unlock()
	for ; from < int64(len(c.lists[key])) && len(messages) < 3; from++ {
		if at := from; !wrong {
			messages = append(messages, cluster.Message{Offset: &at, Value: c.lists[key][at]})
		}
		wrong = false
	}
	return messages, from, nil
}

func (c conn) Transfer(_ context.Context, from, to string, amount int64) error {
	wrong := c.wrong("transfer")
	defer c.mu.Unlock()
	if c.accounts[from] < amount {
		return fmt.Errorf("%w: it has not so much", harness.ErrFail)
	}
	c.accounts[from] -= amount
	if !wrong {
		c.accounts[to] += amount
	}
	return nil
}

func (c conn) Balances(context.Context) (map[string]int64, error) {
	wrong := c.wrong("read")
	defer c.mu.Unlock()
	all := maps.Clone(c.accounts)
	if wrong { // as if a transfer to it were half done
		all["a"]--
	}
	return all, nil
}

func (c conn) dir(key string) map[string][]byte {
	if c.dirs[key] == nil {
		c.dirs[key] = map[string][]byte{}
	}
	return c.dirs[key]
}

func (c conn) WriteObject(_ context.Context, dir, name string, content []byte) error {
	wrong := c.wrong("put")
	defer c.mu.Unlock()
	content = bytes.Clone(content)
	if wrong { // what was there shows through
		copy(content, c.dir(dir)[name][:min(len(c.dir(dir)[name]), 100)])
		content = append(content, 0)
	}
	c.dir(dir)[name] = content
	return nil
}

func (c conn) AppendObject(_ context.Context, dir, name string, content []byte) error {
	wrong := c.wrong("append")
	defer c.mu.Unlock()
	have, found := c.dir(dir)[name]
	if !found {
		return fmt.Errorf("%w: there is none", harness.ErrFail)
	}
	if wrong { // over the last block
		have = have[:len(have)-len(content)]
	}
	c.dir(dir)[name] = append(bytes.Clone(have), content...)
	return nil
}

func (c conn) ReadObject(_ context.Context, dir, name string) ([]byte, bool, error) {
	wrong := c.wrong("look")
	defer c.mu.Unlock()
	have, found := c.dir(dir)[name]
	if wrong && found {
		return have[:len(have)-1], found, nil
	}
	return have, found, nil
}

func (c conn) ListObjects(_ context.Context, dir string) (names []string, err error) {
	wrong := c.wrong("list")
	defer c.mu.Unlock()
	for name := range c.dir(dir) {
		if !wrong {
			names = append(names, name)
		}
		wrong = false // one is left out
	}
	return names, nil
}

func (c conn) RenameObject(_ context.Context, dir, from, to string) error {
	wrong := c.wrong("rename")
	defer c.mu.Unlock()
	have, found := c.dir(dir)[from]
	if !found {
		return fmt.Errorf("%w: there is none", harness.ErrFail)
	}
	c.dir(dir)[to] = have
	if !wrong { // or it is there twice
		delete(c.dir(dir), from)
	}
	return nil
}

// cached is an entry of the cache, and the lease to fill it.
type cached struct {
	value *int64
	ends  time.Time
	token int64 // of the lease; 0: there is none
	until time.Time
}

func (c conn) CacheGet(_ context.Context, key string, lease time.Duration) (cluster.Cached, error) {
	time.Sleep(150 * time.Millisecond)
	c.wrong("get")
	now := time.Now()
	defer c.mu.Unlock()
	e := c.cached[key]
	switch {
	case e.value != nil && (now.Before(e.ends) || c.broken == "get"): // that is over
		return cluster.Cached{Value: e.value}, nil
	case e.token != 0 && now.Before(e.until) && c.broken != "lease":
		return cluster.Cached{}, nil
	}
	token := int64(c.calls)
	c.cached[key] = cached{token: token, until: now.Add(lease)}
	return cluster.Cached{Token: &token}, nil
}

func (c conn) CacheFill(_ context.Context, key string, token, v int64, ttl time.Duration) error {
	time.Sleep(150 * time.Millisecond)
	c.wrong("fill") // or the lease is not looked at
	defer c.mu.Unlock()
	if c.cached[key].token != token && c.broken != "fill" {
		return fmt.Errorf("%w: the lease is over", harness.ErrFail)
	}
	c.cached[key] = cached{value: &v, ends: time.Now().Add(ttl)}
	return nil
}

func (c conn) CacheInvalidate(_ context.Context, key string) error {
	wrong := c.wrong("invalidate")
	defer c.mu.Unlock()
	if !wrong {
		delete(c.cached, key)
	}
	return nil
}

func (c conn) Intrude(_ context.Context, way, key string, write *int64) (string, error) {
	wrong := c.wrong("intrude")
	defer c.mu.Unlock()
	if c.broken == "whisper" && write != nil { // it says that it refuses, and does it
		c.registers[key] = write
	}
	if wrong {
		return "200 OK", nil
	}
	return "", fmt.Errorf("%w: %s", cluster.ErrRefused, way)
}

// judge runs the workload against memory that breaks the function broken, and
// judges what was recorded with the workload's own checkers.
func judge(t *testing.T, w workloads.Workload, broken string) checker.Verdict {
	t.Helper()
	return judgeLoad(t, w, broken, 300)
}

func judgeLoad(t *testing.T, w workloads.Workload, broken string, operations int) checker.Verdict {
	t.Helper()
	m := newMemory(broken)
	var out bytes.Buffer
	rec := harness.NewRecorder(&out)
	keys := map[string]bool{}
	test := harness.Test{
		Runtime: harness.NewRuntime(), Concurrency: 3, Seed: 5,
		Generator: gen.Limit(operations, w.Generator(workloads.Options{Keys: 2, OpsPerKey: 40})),
		Open:      func(int, int) (harness.Client, error) { return w.Client(conn{m, new(int)}), nil },
		Record: func(op *harness.Op) error {
			if op.Type == harness.Invoke {
				for _, k := range w.Objects(*op) {
					keys[k] = true
				}
			}
			return rec.Record(op)
		},
	}
	var finding *online.Finding
	if monitor := w.Monitor(); monitor != nil {
		record := test.Record
		test.Record = func(op *harness.Op) error {
			f, err := monitor.Observe(*op)
			if f != nil && finding == nil {
				finding = f
			}
			return errors.Join(err, record(op))
		}
	}
	ctx := context.Background()
	next, err := harness.Run(ctx, ctx, test)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for k := range keys {
		all = append(all, k)
	}
	slices.Sort(all)
	m.broken = "" // the final look is honest
	test.Generator, test.FirstProcess = w.Final(all), next
	if _, err := harness.Run(ctx, ctx, test); err != nil {
		t.Fatal(err)
	}
	if err := rec.Flush(); err != nil {
		t.Fatal(err)
	}
	ops, torn, err := harness.ReadOperations(&out, w.Decode)
	if err != nil || torn {
		t.Fatalf("what the workload records it can't read back: %v", err)
	}
	for _, f := range w.Needs {
		if !slices.ContainsFunc(ops, func(op harness.Operation) bool { return op.F == f && op.Type == harness.OK }) {
			t.Errorf("the workload never performed %s", f)
		}
	}
	v := checker.CheckAll(ctx, w.Checkers(), &harness.History{Operations: ops, Nodes: []string{"n1"}})
	if finding != nil && v.Valid != harness.Invalid {
		t.Errorf("the monitor found %+v in a history that is judged %v", finding, v.Valid)
	}
	return v
}

func TestEveryWorkloadJudgesRightAndWrong(t *testing.T) {
	wrong := map[string][]string{
		"register": {"read", "write", "cas"},
		"set":      {"add"},
		"queue":    {"enqueue", "dequeue"},
		"messages": {"enqueue", "consume"},
		"counter":  {"add"},
		"lock":     {"acquire", "release"},
		// A message that was acknowledged is not there, and a poll leaves one out.
		"log": {"send", "poll"},
		// What it appends gets lost, and what it reads is old.
		"list-append": {"txn"},
		"bank":        {"transfer", "read"},
		"storage":     {"put", "append", "look", "list", "rename"},
		"cache":       {"get", "lease", "fill", "invalidate"},
		"tasks":       {"submit", "take", "finish"},
		"deliveries":  {"put", "deliver", "ack"},
		// A job is lost, and one has its effect twice.
		"jobs": {"submit", "run"},
		// A stranger is answered, and one is told that it was refused.
		"stranger": {"intrude", "whisper"},
	}
	for _, name := range workloads.Names() {
		w, err := workloads.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		if want := !slices.Contains([]string{"bank", "cache", "deliveries", "jobs", "lock", "log", "messages", "storage", "stranger", "tasks"}, name); want && w.Monitor() == nil {
			t.Errorf("the workload %s is not watched while it runs", name)
		}
		t.Run(name, func(t *testing.T) {
			judge := func(t *testing.T, w workloads.Workload, broken string) (v checker.Verdict) {
				synctest.Test(t, func(t *testing.T) { v = judge(t, w, broken) }) // a final look may wait
				return v
			}
			if v := judge(t, w, ""); v.Valid != harness.Valid {
				t.Errorf("a system without fault was judged %v: %+v", v.Valid, v.Results)
			}
			if len(wrong[name]) == 0 {
				t.Errorf("no way is known in which the workload %s must fail", name)
			}
			for _, f := range wrong[name] {
				if v := judge(t, w, f); v.Valid != harness.Invalid {
					t.Errorf("a system whose %s goes wrong was judged %v", f, v.Valid)
				}
			}
		})
	}
}

func TestAWorkloadSaysWhatItNeeds(t *testing.T) {
	for _, name := range workloads.Names() {
		w := workloads.All[name]
		if !w.Supports(conn{newMemory(""), new(int)}) {
			t.Errorf("%s does not support a connection that can do everything", name)
		}
		if w.Supports(struct{ cluster.Conn }{}) {
			t.Errorf("%s supports a connection that can do nothing", name)
		}
		c := w.Client(conn{newMemory(""), new(int)})
		if _, err := c.Invoke(context.Background(), harness.Op{F: "dance", Key: "k"}); !errors.Is(err, harness.ErrFail) {
			t.Errorf("%s: an unknown function: %v", name, err)
		}
	}
	want := fmt.Sprintf("there is no workload %q (there are %s)", "dance", strings.Join(workloads.Names(), ", "))
	if _, err := workloads.Find("dance"); err == nil || err.Error() != want {
		t.Errorf("error %v", err)
	}
}

// told is a connection that answers everything with one value.
type told struct {
	raw json.RawMessage
	err error
}

func (told) Close() error { return nil }
func (told) Node() string { return "n1" }
func (c told) Do(_ context.Context, workload string, op harness.Op) (json.RawMessage, error) {
	if workload == "" || op.F == "" {
		return nil, errors.New("it is not said what to do")
	}
	return c.raw, c.err
}

// What a universal connection answers is taken as each workload takes it, and what it can't
// take ends the run.
func TestUniversal(t *testing.T) {
	txn := model.Txn{{F: "append", Key: "k", Value: 1}, {F: "r", Key: "k"}}
	for _, c := range []struct {
		workload string
		op       harness.Op
		raw      string
		want     any // nil: the client is broken
	}{
		{"register", harness.Op{F: "read"}, "5", model.Just(5)},
		{"register", harness.Op{F: "read"}, "null", model.Maybe{}},
		{"register", harness.Op{F: "read"}, "", nil},
		{"register", harness.Op{F: "read"}, `"5"`, nil},
		{"register", harness.Op{F: "write", Value: int64(5)}, "5", nil},
		{"set", harness.Op{F: "read"}, "[1,2]", []int64{1, 2}},
		{"set", harness.Op{F: "read"}, "", nil},
		{"counter", harness.Op{F: "read"}, "null", nil},
		{"list-append", harness.Op{F: "txn", Value: txn}, `[["append","k",1],["r","k",[1]]]`, model.Txn{txn[0], {F: "r", Key: "k", List: []int64{1}}}},
		{"list-append", harness.Op{F: "txn", Value: txn}, `[["r","k",[1]]]`, nil},
		{"register,set", harness.Op{F: "set.read", Key: "set-k0"}, "[1]", []int64{1}},
		{"list-append", harness.Op{F: "txn", Value: txn}, `[["append","k",2],["r","k",[2]]]`, nil},
	} {
		w, err := workloads.Find(c.workload)
		if err != nil {
			t.Fatal(err)
		}
		conn := told{raw: json.RawMessage(c.raw)}
		if !w.Works(conn) {
			t.Errorf("%s does not work with it", c.workload)
		}
		got, err := w.Client(conn).Invoke(t.Context(), c.op)
		if c.want == nil && !errors.Is(err, harness.ErrBroken) || c.want != nil && (err != nil || !reflect.DeepEqual(got, c.want)) {
			t.Errorf("%s %s answered with %s: %v, %v", c.workload, c.op.F, c.raw, got, err)
		}
		if _, err := w.Client(told{err: harness.ErrFail}).Invoke(t.Context(), c.op); !errors.Is(err, harness.ErrFail) {
			t.Errorf("%s: %v", c.workload, err)
		}
	}
}
