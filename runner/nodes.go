package runner

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"coup/cluster"
	"coup/harness"
	"coup/nemesis"
	"coup/results"
)

// restartAfter is when a node that ended by itself is started again, as an init
// system would.
const restartAfter = time.Second

// nodes hears what the nodes write, and starts those again that end by themselves.
// Safe for concurrent use.
type nodes struct {
	sys   cluster.System
	store *results.Run
	rec   *recorder
	epoch time.Time // what the nodes' clocks show at the start of the run; zero: nobody knows

	mu        sync.Mutex               // guards below
	cluster   cluster.Cluster          // nil until it is up
	nemesis   *nemesis.Nemesis         // likewise
	lastSaid  map[string]time.Duration // node -> time of its newest event
	lastWords map[string]string        // node -> the line that says why its process is about to end
	release   string                   // what the node that booted last said it runs
	serves    bool                     // the cluster has served
	failed    map[string]*failedStarts // by node, until the cluster serves
}

// failedStarts are how often a node has ended by itself before the cluster served.
type failedStarts struct {
	times, code int    // code: the exit code of the last time
	line        []byte // the newest one
	words       string // the last line before the node ended
}

func newNodes(sys cluster.System, store *results.Run, rec *recorder) *nodes {
	return &nodes{sys: sys, store: store, rec: rec, lastSaid: map[string]time.Duration{}, lastWords: map[string]string{}, failed: map[string]*failedStarts{}}
}

// areUp says that cluster and nemesis are there from now on.
func (n *nodes) areUp(c cluster.Cluster, nem *nemesis.Nemesis) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cluster, n.nemesis = c, nem
}

// whatIsUp are cluster and nemesis; nil until both are there.
func (n *nodes) whatIsUp() (cluster.Cluster, *nemesis.Nemesis) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cluster, n.nemesis
}

// saidRelease is the release that the nodes say they run.
func (n *nodes) saidRelease() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.release
}

// served says that the cluster has served: from now on, a node that ends is a finding.
func (n *nodes) served() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.serves, n.failed = true, nil
}

// start are the failed starts of a node, while the cluster has not served. n is locked.
func (n *nodes) start(node string) *failedStarts {
	f := n.failed[node]
	if f == nil {
		f = &failedStarts{}
		n.failed[node] = f
	}
	return f
}

// neverUp says, in words for an error, which node has ended most often before the cluster
// served, if any has at least so many times; else it is "".
func (n *nodes) neverUp(times int) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	node := ""
	for _, name := range slices.Sorted(maps.Keys(n.failed)) {
		if f := n.failed[name]; f.times >= times && (node == "" || f.times > n.failed[node].times) {
			node = name
		}
	}
	if node == "" {
		return ""
	}
	f := n.failed[node]
	text := fmt.Sprintf("%s ended by itself again and again (%d times, with exit code %d)", node, f.times, f.code)
	if f.words != "" {
		text += fmt.Sprintf("; its last words are %q", f.words)
	}
	return text
}

// tellsWhy reports whether a line of a node's output is the one in which a Go program, or
// its simulated machine, says why it ends.
func tellsWhy(line []byte) bool {
	for _, begins := range []string{"panic: ", "fatal error: ", "machine: the program failed: "} {
		if bytes.HasPrefix(line, []byte(begins)) {
			return true
		}
	}
	return false
}

// toldStarts is how many failed starts of a node are logged, each by itself.
const toldStarts = 3

// longestWords is how much of that line is kept, in bytes.
const longestWords = 200

// output takes a line that a node wrote.
func (n *nodes) output(node string, line []byte) {
	n.store.NodeLog(node, line) // an error is ignored: a run is worth more than a node's log
	if tellsWhy(line) {
		n.mu.Lock()
		if n.lastWords[node] == "" { // the first such line names the cause
			n.lastWords[node] = string(line[:min(len(line), longestWords)])
		}
		n.mu.Unlock()
	}
	n.mu.Lock()
	if !n.serves && len(bytes.TrimSpace(line)) > 0 {
		f := n.start(node)
		f.line = append(f.line[:0], line[:min(len(line), longestWords)]...)
	}
	n.mu.Unlock()
	reader, ok := n.sys.(cluster.EventReader)
	if !ok {
		return
	}
	e, wall, ok := reader.Event(node, line)
	if !ok {
		return
	}
	e.Time = n.rec.rt.Now() // on simulated machines a node's own clock may be wrong
	n.mu.Lock()
	if !n.epoch.IsZero() {
		// A wall clock can be set back during the run. But a node's lines arrive in
		// order, and none arrives before it was written.
		e.Time = min(max(n.lastSaid[node], wall.Sub(n.epoch)), e.Time)
		n.lastSaid[node] = e.Time
	}
	if e.Kind == harness.BootEvent {
		n.release = e.Message
	}
	n.mu.Unlock()
	n.rec.event(e)
}

// gaveUp restarts a node that ended because of an error of its disk, as an init system
// would: again and again, until it stays up.
func (n *nodes) gaveUp(ctx context.Context, node, why string) {
	rt := n.rec.rt
	n.rec.event(harness.Event{Time: rt.Now(), Kind: harness.GiveUpEvent, Node: node, Message: why})
	c, nem := n.whatIsUp()
	if c == nil {
		return // no fault strikes before
	}
	taken := nem.Take(node) // no strike may hit a node that does not run
	rt.Start(func() {
		for {
			harness.Sleep(ctx, rt, rt.Now()+restartAfter)
			if ctx.Err() != nil {
				return
			}
			if taken = taken || nem.Take(node); taken {
				break
			}
		}
		c.Start(ctx, node)
		nem.Free(node)
	})
}

// exited restarts a node that ended by itself.
func (n *nodes) exited(ctx context.Context, node string, code int) {
	rt := n.rec.rt
	n.mu.Lock()
	words := n.lastWords[node]
	delete(n.lastWords, node)
	quietly := false
	if !n.serves {
		f := n.start(node)
		f.times, f.code, f.words = f.times+1, code, string(f.line)
		if words != "" {
			f.words = words
		}
		f.line = f.line[:0]
		quietly = f.times > toldStarts
	}
	n.mu.Unlock()
	if words != "" {
		words = ", " + words
	}
	e := harness.Event{Time: rt.Now(), Kind: harness.ExitEvent, Node: node,
		Message: fmt.Sprintf("exit code %d%s; its last words are in %s", code, words, filepath.Join(results.NodesDir, node+".log"))}
	if quietly {
		n.rec.store.Events.RecordEvent(&e) // as in rec.event
	} else {
		n.rec.event(e)
	}
	rt.Start(func() {
		harness.Sleep(ctx, rt, rt.Now()+restartAfter)
		c, nem := n.whatIsUp()
		for ; c == nil && ctx.Err() == nil; c, nem = n.whatIsUp() { // it ended while others were still being made
			harness.Sleep(ctx, rt, rt.Now()+restartAfter)
		}
		if ctx.Err() == nil && !nem.Has(node) {
			c.Start(ctx, node) // an error is ignored: the checkers see that the node is missing
		}
	})
}
