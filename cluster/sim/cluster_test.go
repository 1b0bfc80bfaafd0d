package sim_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coup/cluster"
	"coup/cluster/conformance"
	"coup/cluster/sim"
	"coup/cluster/sim/engine"
	"coup/cluster/sim/machine"
	"coup/cluster/systems/raft"
	"coup/cluster/trace"
	"coup/harness"
	"coup/internal/testnode"
	"coup/nemesis"
)

// inWorld runs body in a world of its own with a cluster of n raft nodes.
func inWorld(t testing.TB, seed uint64, n int, body func(w *sim.World, c *sim.Cluster) error) (output []string) {
	t.Helper()
	return inWorldOf(t, testnode.Program(t, testnode.Node), nil, seed, n, body)
}

// inWorldOf is inWorld with another program, and with a trace unless it is nil.
func inWorldOf(t testing.TB, program *sim.Program, traced *trace.Writer, seed uint64, n int, body func(w *sim.World, c *sim.Cluster) error) (output []string) {
	t.Helper()
	w := sim.NewWorld(seed)
	err := w.Run(func() error {
		c, err := sim.Up(context.Background(), w, sim.Config{
			Program: program, Nodes: n, System: raft.System{}, Trace: traced,
			Output: func(node string, line []byte) { output = append(output, node+" "+string(line)) },
			Exited: func(node string, code int) { t.Errorf("%s ended by itself with code %d", node, code) },
			GaveUp: func(node, why string) { output = append(output, node+" gave up: "+why) },
		})
		if err != nil {
			return err
		}
		return errors.Join(body(w, c), c.Close(context.Background()))
	})
	if err != nil {
		t.Error(err)
	}
	return output
}

func TestConformance(t *testing.T) {
	t.Parallel()
	output := inWorld(t, 1, 3, func(w *sim.World, c *sim.Cluster) error {
		return conformance.Check(context.Background(), w, raft.System{}, c)
	})
	boots := 0
	for _, line := range output {
		if strings.HasPrefix(line, "n2 ") && strings.Contains(line, `"boot"`) {
			boots++
		}
	}
	if boots != 4 { // the first, and after kill, stop and kill
		t.Errorf("n2 said %d times that it booted, want 4: output must survive restarts", boots)
	}
}

// turmoil does everything that can be done to a cluster, and returns what the
// machines hold in the end.
func turmoil(t testing.TB, seed uint64, traced *trace.Writer) string {
	t.Helper()
	return turmoilOf(t, testnode.Program(t, testnode.Node), seed, traced)
}

// turmoilOf is turmoil with another program.
func turmoilOf(t testing.TB, program *sim.Program, seed uint64, traced *trace.Writer) string {
	t.Helper()
	var sum string
	output := inWorldOf(t, program, traced, seed, 3, func(w *sim.World, c *sim.Cluster) error {
		ctx := context.Background()
		sleep := func(d time.Duration) { harness.Sleep(ctx, w, w.Now()+d) }
		for i := range 30 {
			w.Start(func() {
				sleep(time.Duration(i) * 100 * time.Millisecond)
				ctx, cancel := w.WithTimeout(ctx, time.Second)
				defer cancel()
				conn, err := raft.System{}.Open(c, fmt.Sprintf("n%d", i%3+1), cluster.Options{Client: fmt.Sprint("c", i)})
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				conn.(cluster.Counter).CounterAdd(ctx, "k", 1)
			})
		}
		sleep(time.Second)
		// The leader sends more on a connection before the lost packets are sent again.
		c.SetCuts(ctx, []cluster.Cut{
			{From: "n1", To: "n2", Loss: 0.3}, {From: "n2", To: "n3", Loss: 0.3}, {From: "n3", To: "n1", Loss: 0.3},
			{From: "n2", To: "n1", Loss: 0.3}, {From: "n3", To: "n2", Loss: 0.3}, {From: "n1", To: "n3", Loss: 0.3},
		})
		sleep(500 * time.Millisecond)
		_, err := c.Crash(ctx, "n1")
		c.SetCuts(ctx, []cluster.Cut{{From: "n2", To: "n3", Loss: 0.6}, {From: "n3", To: "n2", Loss: 0.6}, {To: "n3", Loss: 1}})
		sleep(1500 * time.Millisecond)
		_, err2 := c.Kill(ctx, "n2")
		_, err3 := c.Pause(ctx, "n3")
		sleep(300 * time.Millisecond)
		err = errors.Join(err, err2, err3, c.Start(ctx, "n1"), c.Start(ctx, "n2"), c.Resume(ctx, "n3"), c.SetCuts(ctx, nil))
		sleep(500 * time.Millisecond)
		for node, f := range []cluster.DiskFault{{Fail: true}, {Hang: true}, {Full: true}} {
			_, failed := c.SetDisk(ctx, fmt.Sprintf("n%d", node+1), f)
			err = errors.Join(err, failed)
		}
		_, failed := c.SetCPU(ctx, "n2", 50)
		err = errors.Join(err, failed, c.SetCuts(ctx, []cluster.Cut{
			{From: "n1", To: "n2", Delay: 50 * time.Millisecond, Jitter: 20 * time.Millisecond},
			{From: "n2", To: "n3", Rate: 2000}, {From: "n1", To: "n3", Reset: true},
		}))
		sleep(500 * time.Millisecond)
		err = errors.Join(err, c.SetCuts(ctx, nil))
		for _, n := range c.Nodes() {
			_, failed := c.SetDisk(ctx, n.Name, cluster.DiskFault{})
			err = errors.Join(err, failed, c.Start(ctx, n.Name))
		}
		sleep(time.Second)
		_, err2 = c.Kill(ctx, "n1")
		_, err3 = c.Rot(ctx, "n1")
		err = errors.Join(err, err2, err3, c.Start(ctx, "n1"))
		sleep(time.Second)
		sum = c.Fingerprint()
		return err
	})
	return sum + " " + fmt.Sprint(strings.Join(output, "\n"))
}

// The node does the same, to the last byte of its memory, when its code was not
// rewritten.
func TestLeanNodeDoesTheSame(t *testing.T) {
	t.Parallel()
	module, err := os.ReadFile(testnode.File(t, testnode.Node))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	asItIs, err := engine.Load(ctx, module, engine.Config{Cache: sim.CacheDir(), Imports: machine.Imports, AsItIs: true})
	if err != nil {
		t.Fatal(err)
	}
	defer asItIs.Close(ctx)
	if lean := turmoil(t, 9, nil); lean != turmoilOf(t, asItIs, 9, nil) {
		t.Error("the node that was made lean did something else")
	}
}

// And when each of its accesses to memory was checked.
func TestCheckedNodeDoesTheSame(t *testing.T) {
	if !canDoWithoutChecks {
		t.Skip("here each one is checked: see make unit")
	}
	unchecked := turmoil(t, 9, nil)
	module, err := os.ReadFile(testnode.File(t, testnode.Node))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	withChecks(t)
	checked, err := sim.Load(ctx, module, filepath.Join(filepath.Dir(sim.CacheDir()), "wasm"))
	if err != nil {
		t.Fatal(err)
	}
	defer checked.Close(ctx)
	if unchecked != turmoilOf(t, checked, 9, nil) {
		t.Error("the node whose accesses were not checked did something else")
	}
}

const childVariable = "COUP_TEST_CHILD"

// tracedTurmoil is turmoil with its trace, and with that trace's hash in the
// last line.
func tracedTurmoil(t testing.TB, seed uint64) (sum string, b []byte) {
	var traced bytes.Buffer
	w := trace.NewWriter(&traced)
	sum = turmoil(t, seed, w)
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	return fmt.Sprintf("%s\ntrace %x", sum, sha256.Sum256(traced.Bytes())), traced.Bytes()
}

// Two processes with a different number of threads see the same, and another
// seed shows something else. Whether they are traced makes no difference.
func TestDeterminism(t *testing.T) {
	if os.Getenv(childVariable) != "" {
		sum, _ := tracedTurmoil(t, 7)
		fmt.Fprint(os.Stdout, "RESULT ", sum, "\nEND\n")
		return
	}
	t.Parallel()
	child := exec.Command(os.Args[0], "-test.run=^TestDeterminism$")
	child.Env = append(os.Environ(), childVariable+"=1", "GOMAXPROCS=1")
	out, err := child.Output()
	if err != nil {
		t.Fatal(err)
	}
	_, theirs, _ := strings.Cut(string(out), "RESULT ")
	theirs, _, _ = strings.Cut(theirs, "\nEND\n")
	mine, traced := tracedTurmoil(t, 7)
	if mine != theirs {
		a, b := strings.Split(mine, "\n"), strings.Split(theirs, "\n")
		for i := range min(len(a), len(b)) {
			if a[i] != b[i] {
				t.Fatalf("line %d differs:\n%s\n%s", i, a[i], b[i])
			}
		}
		t.Fatalf("%d and %d lines", len(a), len(b))
	}
	if untraced := turmoil(t, 7, nil); !strings.HasPrefix(mine, untraced+"\ntrace ") {
		t.Error("without a trace, the machines did something else")
	}
	if other := turmoil(t, 8, nil); strings.HasPrefix(mine, other) {
		t.Error("another seed shows the same")
	}
	turmoilIsTold(t, traced)
}

// turmoilIsTold looks into the trace of turmoil for all that happened there.
func turmoilIsTold(t *testing.T, traced []byte) {
	kinds, said, files := map[string]int{}, map[string]int{}, map[string]int{}
	packets := map[uint64]string{} // by number, what became of each
	var last time.Duration
	for e, err := range trace.Read(bytes.NewReader(traced), nil) {
		if err != nil {
			t.Fatal(err)
		}
		kinds[e.Kind]++
		if e.Time < last-10*time.Millisecond {
			t.Errorf("%s at %v comes behind %v", e.Kind, e.Time, last)
		}
		last = max(last, e.Time)
		for _, m := range e.Messages {
			who := "node"
			if e.Node == trace.Clients || e.To == trace.Clients {
				who = "client"
			}
			what := fmt.Sprint(who, " ", m.Kind, " ", m.Reply)
			said[what]++
			if m.Kind == "?" || !m.Idle && m.Text == "" {
				t.Errorf("%s to %s: %+v is not understood", e.Node, e.To, m)
			}
		}
		switch e.Kind {
		case trace.Send, trace.Lost, trace.Held, trace.Resent, trace.Arrive, trace.Dropped:
			before := packets[e.ID]
			if (before == "") != (e.Kind == trace.Send) || before == trace.Arrive || before == trace.Dropped ||
				e.Kind == trace.Resent && before != trace.Lost && before != trace.Held {
				t.Errorf("packet %d is %s after %q", e.ID, e.Kind, before)
			}
			packets[e.ID] = e.Kind
		case trace.Write:
			if e.Path == "data/raft.wal" && e.Text == "" {
				t.Error("what is written to the log is not told")
			}
			files[e.Path]++
		}
	}
	for _, kind := range []string{
		trace.Send, trace.Lost, trace.Held, trace.Resent, trace.Arrive, trace.Dropped, trace.Dial, trace.Open, trace.Refused,
		trace.Wake, trace.Write, trace.Name, trace.Sync, trace.Synced, trace.Power, trace.Boot, trace.Exit, trace.Freeze, trace.Thaw, trace.Cuts, trace.Log,
	} {
		if kinds[kind] == 0 {
			t.Errorf("no %s in the trace: %v", kind, kinds)
		}
	}
	for _, what := range []string{
		"node AppendEntries false", "node AppendEntries true", "node RequestVote false", "node RequestVote true",
		"node RequestPreVote false", "client add false", "client add true", "client status true",
	} {
		if said[what] == 0 {
			t.Errorf("nobody said %s: %v", what, said)
		}
	}
	if files["data/raft.wal"] < 10 { // which is written as another file, and renamed
		t.Errorf("%v was written", files)
	}
	if kinds[trace.Arrive] < kinds[trace.Send]/2 {
		t.Errorf("%d of %d packets arrived", kinds[trace.Arrive], kinds[trace.Send])
	}
}

func TestWhatWasAcknowledgedSurvivesPowerCuts(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		inWorld(t, seed, 3, func(w *sim.World, c *sim.Cluster) error {
			ctx := context.Background()
			conn, err := raft.System{}.Open(c, "n1", cluster.Options{Client: "c"})
			if err != nil {
				return err
			}
			counter := conn.(cluster.Counter)
			acknowledged, tried, nextCrash := int64(0), int64(0), int64(20)
			for range 200 {
				ctx, cancel := w.WithTimeout(ctx, time.Second)
				tried++
				if counter.CounterAdd(ctx, "k", 1) == nil {
					acknowledged++
				}
				cancel()
				if acknowledged == nextCrash {
					nextCrash += 20
					for _, n := range c.Nodes() { // the whole building
						if _, err := c.Crash(ctx, n.Name); err != nil {
							return err
						}
					}
					for _, n := range c.Nodes() {
						if err := c.Start(ctx, n.Name); err != nil {
							return err
						}
					}
				}
			}
			for until := w.Now() + 20*time.Second; w.Now() < until; harness.Sleep(ctx, w, w.Now()+50*time.Millisecond) {
				ctx, cancel := w.WithTimeout(ctx, time.Second)
				got, err := counter.CounterRead(ctx, "k")
				cancel()
				if err != nil {
					continue
				}
				if got < acknowledged || got > tried {
					return fmt.Errorf("%d of %d additions were acknowledged, and %d are there", acknowledged, tried, got)
				}
				if acknowledged < 50 {
					return fmt.Errorf("only %d additions were acknowledged", acknowledged)
				}
				return nil
			}
			return errors.New("the counter can't be read any more")
		})
	}
}

// leaderOf waits until a node leads, and returns it.
func leaderOf(ctx context.Context, w *sim.World, c *sim.Cluster) string {
	for {
		if leader, _ := nemesis.LeaderOf(nemesis.Statuses(ctx, w, raft.System{}, c)); leader != "" {
			return leader
		}
		harness.Sleep(ctx, w, w.Now()+20*time.Millisecond)
	}
}

// count adds to a counter until it has been acknowledged n times.
func count(ctx context.Context, w *sim.World, c *sim.Cluster, n int) error {
	for until, tries := w.Now()+10*time.Second, 0; n > 0; tries++ {
		if w.Now() > until {
			return errors.New("the counter can't be added to")
		}
		conn, err := raft.System{}.Open(c, c.Nodes()[tries%3].Name, cluster.Options{})
		if err != nil {
			return err
		}
		bounded, cancel := w.WithTimeout(ctx, time.Second)
		if conn.(cluster.Counter).CounterAdd(bounded, "k", 1) == nil {
			n--
		}
		cancel()
		conn.Close()
	}
	return nil
}

// A node whose disk fails stops by itself and says why, the others go on, and
// once the disk is whole the node comes back; one whose disk hangs goes on when
// it does not hang any more.
func TestNodesWhoseDisksFail(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault   cluster.DiskFault
		rot     bool
		says    string // the evidence
		givesUp string // what the node says before it ends
	}{
		"slow":    {fault: cluster.DiskFault{Delay: 50 * time.Millisecond}, says: "took 5"},
		"stalled": {fault: cluster.DiskFault{Hang: true}, says: "does not end"},
		"failing": {fault: cluster.DiskFault{Fail: true}, says: "input/output error", givesUp: "fsync: I/O error"},
		"full":    {fault: cluster.DiskFault{Full: true}, says: "no space left on device", givesUp: "No space left on device"},
		"rotten":  {rot: true, says: "reads wrong", givesUp: "damaged at byte"},
	} {
		t.Run(name, func(t *testing.T) {
			gone := false
			output := inWorld(t, 1, 3, func(w *sim.World, cl *sim.Cluster) error {
				ctx := context.Background()
				if err := count(ctx, w, cl, 5); err != nil {
					return err
				}
				leader := leaderOf(ctx, w, cl)
				var evidence string
				var err error
				if c.rot {
					if _, err := cl.Kill(ctx, leader); err != nil {
						return err
					}
					evidence, err = cl.Rot(ctx, leader)
					err = errors.Join(err, cl.Start(ctx, leader))
				} else {
					evidence, err = cl.SetDisk(ctx, leader, c.fault)
				}
				if err != nil || !strings.Contains(evidence, c.says) {
					t.Errorf("evidence %q, %v; want %q", evidence, err, c.says)
				}
				if c.fault.Hang {
					// The leader's heartbeats go on beside the loop that waits for the
					// disk: nobody takes its place.
					if count(ctx, w, cl, 1) == nil {
						t.Error("acknowledged, though the leader's log can't be written")
					}
				} else if err := count(ctx, w, cl, 20); err != nil {
					return err
				}
				_, err = cl.Pause(ctx, leader) // fails if it does not run
				gone = err != nil
				_, err = cl.SetDisk(ctx, leader, cluster.DiskFault{})
				if err = errors.Join(err, cl.Unrot(ctx, leader), cl.Start(ctx, leader), cl.Resume(ctx, leader)); err != nil {
					return err
				}
				if err := count(ctx, w, cl, 5); err != nil {
					return err
				}
				if harness.Sleep(ctx, w, w.Now()+2*time.Second); len(nemesis.Statuses(ctx, w, raft.System{}, cl)) != 3 {
					t.Error("a node does not come back")
				}
				return nil
			})
			all := strings.Join(output, "\n")
			if gone != (c.givesUp != "") || gone != strings.Contains(all, "gave up: status 1") || !strings.Contains(all, c.givesUp) {
				t.Errorf("gone: %v, want %q, and it said %q", gone, c.givesUp, output[max(0, len(output)-3):])
			}
		})
	}
}

// A leader whose processor is slow serves more slowly, and goes on to lead.
func TestSlowProcessor(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, 3, func(w *sim.World, c *sim.Cluster) error {
		ctx := context.Background()
		took := func() time.Duration {
			since := w.Now()
			if err := count(ctx, w, c, 30); err != nil {
				t.Error(err)
			}
			return w.Now() - since
		}
		took()
		leader, usual := leaderOf(ctx, w, c), took()
		evidence, err := c.SetCPU(ctx, leader, 100)
		if err != nil || !strings.Contains(evidence, "100 times as slow") {
			t.Errorf("%q, %v", evidence, err)
		}
		if slow := took(); slow < 2*usual {
			t.Errorf("with a slow processor it took %v, and %v before", slow, usual)
		}
		if now := leaderOf(ctx, w, c); now != leader {
			t.Errorf("%s leads in place of %s", now, leader)
		}
		if _, err := c.SetCPU(ctx, leader, 1); err != nil {
			return err
		}
		if again := took(); again > 2*usual {
			t.Errorf("afterwards it took %v, and %v before", again, usual)
		}
		return nil
	})
}

// Some power cuts strike while an fsync is under way.
func TestPowerCutsInTheMiddleOfAnFsync(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, 3, func(w *sim.World, c *sim.Cluster) error {
		ctx := context.Background()
		middle := 0
		const cuts = 12
		for range cuts {
			leader := leaderOf(ctx, w, c)
			w.Start(func() { count(ctx, w, c, 20) })
			harness.Sleep(ctx, w, w.Now()+20*time.Millisecond)
			evidence, err := c.Crash(ctx, leader)
			if err := errors.Join(err, c.Start(ctx, leader)); err != nil {
				return err
			}
			if strings.Contains(evidence, "in the middle of an fsync") {
				middle++
			}
		}
		if middle == 0 || middle == cuts {
			t.Errorf("%d of %d", middle, cuts)
		}
		return nil
	})
}

// odd is a system whose nodes run the program misbehave.
type odd struct {
	raft.System
	how string
}

func (o odd) Pod(cluster.Node, []cluster.Node, cluster.Options) cluster.Pod {
	return cluster.Pod{Containers: []cluster.Container{{Name: "node", Args: []string{o.how}}}}
}

func runOdd(t *testing.T, how string, w *sim.World) (output string, codes []int, err error) {
	t.Helper()
	program := testnode.Program(t, "coup/cluster/sim/testdata/misbehave")
	err = w.Run(func() error {
		c, err := sim.Up(context.Background(), w, sim.Config{
			Program: program, Nodes: 1, System: odd{how: how},
			Output: func(node string, line []byte) { output += string(line) + "\n" },
			Exited: func(node string, code int) { codes = append(codes, code) },
		})
		if err != nil {
			return err
		}
		harness.Sleep(context.Background(), w, 5*time.Second)
		return c.Close(context.Background())
	})
	return output, codes, err
}

func TestProgramsThatMisbehave(t *testing.T) {
	t.Parallel()
	for how, want := range map[string]struct {
		code int
		says string
	}{
		"panic": {2, "on purpose"},
		"fill":  {2, "out of memory"},
		"exit":  {3, ""},
		"spin":  {0, "done"},
	} {
		t.Run(how, func(t *testing.T) {
			output, codes, err := runOdd(t, how, sim.NewWorld(1))
			if err != nil {
				t.Fatal(err)
			}
			if len(codes) != 1 || codes[0] != want.code {
				t.Errorf("ended with %v, want %d", codes, want.code)
			}
			if !strings.Contains(output, want.says) {
				t.Errorf("it said %q, want %q", output, want.says)
			}
		})
	}
}

// A program is told ENOSPC by all that takes room on a full disk, and EIO by an
// fsync that failed, as on any other machine.
func TestWhatProgramsAreToldOfTheirDisks(t *testing.T) {
	t.Parallel()
	answers := map[string]string{}
	w := sim.NewWorld(1)
	err := w.Run(func() error {
		ctx := context.Background()
		c, err := sim.Up(ctx, w, sim.Config{
			Program: testnode.Program(t, "coup/cluster/sim/testdata/misbehave"), Nodes: 1, System: odd{how: "disk"},
			Output: func(_ string, line []byte) {
				what, answer, _ := strings.Cut(string(line), ": ")
				answers[what] = answer
			},
			Exited: func(_ string, code int) { t.Errorf("the program ended with %d: %q", code, answers) },
		})
		if err != nil {
			return err
		}
		for _, wrong := range []struct {
			fault    cluster.DiskFault
			evidence string
			told     map[string]string // others: ok
		}{
			{},
			{cluster.DiskFault{Full: true}, "no space left on device", map[string]string{
				"write": "ENOSPC", "write at": "ENOSPC", "grow": "ENOSPC", "create": "ENOSPC", "make a directory": "ENOSPC",
			}},
			{},
			{cluster.DiskFault{Fail: true}, "input/output error", map[string]string{"sync": "EIO", "sync beside": "EIO"}},
		} {
			evidence, err := c.SetDisk(ctx, "n1", wrong.fault)
			if err != nil || !strings.Contains(evidence, wrong.evidence) {
				t.Errorf("%+v: evidence %q, %v", wrong.fault, evidence, err)
			}
			harness.Sleep(ctx, w, w.Now()+time.Second) // several rounds
			if len(answers) != 11 {
				t.Errorf("%+v: %q", wrong.fault, answers)
			}
			for what, answer := range answers {
				want := cmp.Or(wrong.told[what], "ok")
				if what == "sync nothing" {
					want = "ENOENT"
				}
				if answer != want {
					t.Errorf("%+v: %s: %s, want %s", wrong.fault, what, answer, want)
				}
			}
		}
		return c.Close(ctx)
	})
	if err != nil {
		t.Error(err)
	}
}

// A program that loops for ever is told by name, from outside its process's
// ordinary course: there is no way back from it.
func TestWatchdog(t *testing.T) {
	if os.Getenv(childVariable) != "" {
		w := sim.NewWorld(1)
		w.OnStuck(time.Second, func(err *sim.StuckError) {
			io.WriteString(os.Stdout, "STUCK "+err.Node+"\n")
			os.Exit(9)
		})
		runOdd(t, "loop", w)
		return
	}
	t.Parallel()
	child := exec.Command(os.Args[0], "-test.run=^TestWatchdog$")
	child.Env = append(os.Environ(), childVariable+"=1")
	out, err := child.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 9 || !strings.Contains(string(out), "STUCK n1") {
		t.Errorf("%v: %s", err, out)
	}
}
