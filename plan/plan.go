// Package plan is a run as data. A [Plan] says what is tested, by what load, and under
// what faults. It may list the operations of clients ([Operation]). [Stored], the content
// of plan.json, is a plan together with what it ran on.
//
// Start with [Default], or read a file with [Plan.ReadPlan]; [Plan.Resolve] checks a
// plan and draws its schedule.
package plan

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"coup/checker/conduct"
	"coup/checker/promise"
	"coup/cluster"
	"coup/cluster/systems"
	"coup/cluster/systems/own"
	"coup/harness"
	"coup/nemesis"
	"coup/workloads"
)

// Plan is all that determines a run: what is tested, by what load, under what
// faults. A plan is written by people (flags or YAML), resolved once, and
// stored with the run.
type Plan struct {
	Backend  string            `json:"backend" yaml:"backend"`                     // docker or sim
	System   string            `json:"system" yaml:"system"`                       // its name, or name@version
	Version  string            `json:"version,omitempty" yaml:"version,omitempty"` // the release of it; "": its default
	Image    string            `json:"image,omitempty" yaml:"image,omitempty"`     // the image to run, of a system that runs one; "": its own
	Nodes    int               `json:"nodes" yaml:"nodes"`
	Bug      string            `json:"bug,omitempty" yaml:"bug,omitempty"`           // a planted bug of the system
	Reads    string            `json:"reads" yaml:"reads"`                           // linearizable, lease or stale
	Settings map[string]string `json:"settings,omitempty" yaml:"settings,omitempty"` // of the system's own

	// A system that is made of a compose file and a client program, in place of System;
	// see package own.
	Compose string      `json:"compose,omitempty" yaml:"compose,omitempty"` // the file
	Client  string      `json:"client,omitempty" yaml:"client,omitempty"`   // the client's command
	Leader  string      `json:"leader,omitempty" yaml:"leader,omitempty"`   // a command that ends with 0 on the node that leads; "": as x-coup in the file says
	Dir     string      `json:"dir,omitempty" yaml:"dir,omitempty"`         // where the client runs; "": where the plan is, or else where coup runs
	Own     *own.Source `json:"own,omitempty" yaml:"own,omitempty"`         // what the compose file says; nil: it is read

	Workload string `json:"workload" yaml:"workload"` // its name; several, with commas; or all that the system can do
	// Consistency is what clients are promised; "": what the workload promises. See
	// workloads.Workload.At.
	Consistency string   `json:"consistency,omitempty" yaml:"consistency,omitempty"`
	Time        Duration `json:"time" yaml:"time"` // how long the load lasts
	Concurrency int      `json:"concurrency" yaml:"concurrency"`
	Rate        float64  `json:"rate" yaml:"rate"` // operations per second; 0: as fast as they are answered
	// Arrivals make an open-loop load in place of Rate: operations per second that are due
	// whether or not earlier ones were answered, as one number, a ramp (100..2000), or
	// several of either, with commas, each for an equal part of Time. "": it is none.
	Arrivals  string   `json:"arrivals,omitempty" yaml:"arrivals,omitempty"`
	Timeout   Duration `json:"timeout" yaml:"timeout"` // of one operation
	Keys      int      `json:"keys" yaml:"keys"`       // objects in use at a time
	OpsPerKey int      `json:"ops-per-key" yaml:"ops-per-key"`

	// The load pauses for PauseFor, PauseEvery after the pause before. Both are averages;
	// the lengths are drawn from Seed. 0: it never pauses.
	PauseEvery Duration `json:"pause-every,omitempty" yaml:"pause-every,omitempty"`
	PauseFor   Duration `json:"pause-for,omitempty" yaml:"pause-for,omitempty"`

	// Operations are all operations of the load, in place of those that Workload, Rate,
	// Keys and OpsPerKey would draw. nil: they are drawn.
	Operations []Operation `json:"operations,omitempty" yaml:"operations,omitempty"`

	Nemesis  []string `json:"nemesis" yaml:"nemesis,flow"` // fault:target
	Interval Duration `json:"interval" yaml:"interval"`    // between strikes of one fault; 0: by their number
	Schedule []Strike `json:"schedule" yaml:"schedule"`    // drawn from Nemesis, Interval and Seed unless it is given

	FailFast bool `json:"fail-fast,omitempty" yaml:"fail-fast,omitempty"` // end the load when a violation is found

	// Capture is how many MiB of the newest packets of each node are kept in a file; see
	// package capture. 0: none. It changes nothing of the run but what that costs.
	Capture int `json:"capture,omitempty" yaml:"capture,omitempty"`

	// ServeWithin is how long the system may take to serve when nothing is broken, and
	// then each node to catch up with its leader; 0: 30 s, or more if the system's elections or failovers are slow.
	ServeWithin Duration `json:"serve-within" yaml:"serve-within"`

	// Promises are promises in figures that the run is judged by, beside those of the
	// workload; see package promise.
	Promises []string `json:"promises,omitempty" yaml:"promises,omitempty"`

	Seed        uint64   `json:"seed" yaml:"seed"`
	CheckTime   Duration `json:"check-time" yaml:"check-time"`     // bound on each checker
	CheckMemory int      `json:"check-memory" yaml:"check-memory"` // bound on the checkers' memory, MiB
}

// Strike is an entry of a plan's schedule; see nemesis.Entry.
type Strike struct {
	At     Duration `json:"at" yaml:"at"`
	For    Duration `json:"for" yaml:"for"`
	Fault  string   `json:"fault" yaml:"fault"`
	Target string   `json:"target" yaml:"target"`
	Mode   string   `json:"mode,omitempty" yaml:"mode,omitempty"`
	Seed   uint64   `json:"seed,omitempty" yaml:"seed,omitempty"`
}

// Duration is a time.Duration that is written "1m30s".
type Duration time.Duration

func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 30s or 1m30s", b)
	}
	*d = Duration(v)
	return nil
}

// UnmarshalYAML implements yaml.InterfaceUnmarshaler. Without it, the decoder would go
// through the whole plan for each Duration.
func (d *Duration) UnmarshalYAML(decode func(any) error) error {
	var s string
	if err := decode(&s); err != nil {
		return err
	}
	return d.UnmarshalText([]byte(s))
}

// Default is the main job: five raft nodes, thirty seconds, leaders killed
// and cut off.
func Default() Plan {
	return Plan{
		Backend: "docker", System: "raft", Nodes: 5, Reads: "linearizable",
		Workload: "register", Time: Duration(30 * time.Second), Concurrency: 10, Timeout: Duration(time.Second),
		Keys: 5, OpsPerKey: 200,
		Nemesis:     []string{"kill:leader", "partition:leader"},
		ServeWithin: Duration(conduct.DefaultServeWithin),
		CheckTime:   Duration(time.Minute), CheckMemory: 2048,
	}
}

// ReadPlan reads a plan in YAML over the values that p already has. An unknown field is
// an error with its line.
func (p *Plan) ReadPlan(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := p.Parse(path, b); err != nil {
		return err
	}
	return p.beside(path)
}

// Parse is ReadPlan for YAML that was read already; name is what errors call it.
func (p *Plan) Parse(name string, b []byte) error {
	read := *p
	err := read.decode(b)
	if errors.Is(err, io.EOF) { // an empty plan changes nothing; the decoder would clear it
		return nil
	}
	if err == nil {
		*p = read
		return nil
	}
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil {
		return fmt.Errorf("%s, line %d: %s", name, at.GetToken().Position.Line, inWords(at))
	}
	return fmt.Errorf("%s: %w", name, err)
}

// inWords says what is wrong with a plan. The decoder speaks of the types of Go.
func inWords(err yaml.Error) string {
	kind := reflect.Invalid
	var value *yaml.TypeError
	var large *yaml.OverflowError
	var node *yaml.UnexpectedNodeTypeError
	switch {
	case errors.As(err, &value):
		kind = value.DstType.Kind()
	case errors.As(err, &large):
		kind = large.DstType.Kind()
	case errors.As(err, &node) && node.Expected == ast.SequenceType:
		kind = reflect.Slice
	case errors.As(err, &node) && node.Expected == ast.MappingType:
		kind = reflect.Map
	}
	want := ""
	switch kind {
	case reflect.Slice:
		want = "a list, such as [a, b]"
	case reflect.Map, reflect.Struct:
		want = "names with values, such as {name: value}"
	case reflect.String:
		want = "one word or text"
	case reflect.Bool:
		want = "true or false"
	case reflect.Float64:
		want = "a number"
	case reflect.Int, reflect.Int64:
		want = "a whole number"
	case reflect.Uint, reflect.Uint64:
		want = "a whole number, 0 or more"
	default:
		return err.GetMessage()
	}
	got := err.GetToken().Value
	if words, ok := map[string]string{"[": "a list", "-": "a list", "{": "names with values"}[got]; ok {
		got = words
	}
	return fmt.Sprintf("here must be %s, not %s", want, got)
}

// decode decodes YAML. The decoder panics over some files that are no YAML.
func (p *Plan) decode(b []byte) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("this is no plan in YAML")
		}
	}()
	return yaml.NewDecoder(bytes.NewReader(b), yaml.Strict()).Decode(p)
}

// WritePlan writes p as YAML, to be read again by ReadPlan.
func (p Plan) WritePlan(w io.Writer) error {
	b, err := yaml.Marshal(p)
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

const (
	healPatience     = time.Minute // a list of operations may go on for as long after the load, and as ServeWithin says
	shortestInterval = 200 * time.Millisecond
	mostFaults       = 64
	mostCapture      = 64 << 10 // MiB
	mostNodes        = 25
	// A run of a day, the longest one, has 65,000 strikes if no interval is given. A
	// schedule is held in memory and stored as a whole.
	mostStrikes = 100_000
)

// Resolve checks the plan and draws its schedule if it has none yet.
func (p *Plan) Resolve() error {
	if p.Compose == "" && p.Own == nil {
		if err := p.splitVersion(); err != nil {
			return err
		}
	}
	if err := p.readCompose(); err != nil {
		return err
	}
	sys, err := p.FindSystem()
	if err != nil {
		return err
	}
	return p.ResolveFor(sys)
}

// splitVersion makes a system and its version of name@version.
func (p *Plan) splitVersion() error {
	name, version, ok := strings.Cut(p.System, "@")
	switch {
	case !ok:
		return nil
	case version == "" || p.Version != "" && p.Version != version:
		return fmt.Errorf("the system %q and the version %q: give the version once", p.System, p.Version)
	}
	p.System, p.Version = name, version
	return nil
}

// ResolveFor is Resolve for a system that need not be among those that coup knows by name.
func (p *Plan) ResolveFor(sys cluster.System) error {
	if _, err := Capabilities(p.Backend); err != nil {
		return err
	}
	p.System = sys.Name()
	if p.Bug != "" && !slices.ContainsFunc(cluster.BugsOf(sys), func(b cluster.Bug) bool { return b.Name == p.Bug }) {
		var names []string
		for _, b := range cluster.BugsOf(sys) {
			names = append(names, b.Name)
		}
		return fmt.Errorf("%s has no bug %q (it has %s)", p.System, p.Bug, strings.Join(names, ", "))
	}
	if !slices.Contains([]string{"linearizable", "lease", "stale"}, p.Reads) {
		return fmt.Errorf("reads are linearizable, lease or stale, not %q", p.Reads)
	}
	if err := sys.Check(p.Options()); err != nil {
		return err
	}
	if err := p.checkWorkload(sys); err != nil {
		return err
	}
	if err := p.runs(sys); err != nil {
		return err
	}
	if err := p.checkImage(sys); err != nil {
		return err
	}
	if d := Duration(conduct.DefaultServeWithin); p.ServeWithin == 0 || p.ServeWithin == d {
		t := cluster.TimingOf(sys, p.Options())
		p.ServeWithin = max(d, Duration(t.Election), Duration(3*t.Failover))
	}
	if err := cmp.Or(
		within("nodes", p.Nodes, 1, mostNodes),
		within("time", p.Time, Duration(time.Second), Duration(24*time.Hour)),
		within("concurrency", p.Concurrency, 1, 1000),
		within("rate", p.Rate, 0, 1e6),
		within("timeout", p.Timeout, Duration(10*time.Millisecond), Duration(10*time.Minute)),
		within("keys", p.Keys, 1, 10_000),
		within("ops-per-key", p.OpsPerKey, 1, 1_000_000),
		within("interval", p.Interval, 0, Duration(time.Hour)),
		within("pause-every", p.PauseEvery, 0, Duration(24*time.Hour)),
		within("pause-for", p.PauseFor, 0, Duration(24*time.Hour)),
		within("capture", p.Capture, 0, mostCapture),
		within("serve-within", p.ServeWithin, Duration(time.Second), Duration(time.Hour)),
		p.CheckBounds(),
	); err != nil {
		return err
	}
	if p.Interval != 0 && time.Duration(p.Interval) < shortestInterval {
		return fmt.Errorf("interval must be 0s or at least %v, not %s", shortestInterval, p.Interval)
	}
	if len(p.Nemesis) > mostFaults {
		return fmt.Errorf("nemesis names %d faults, and %d are the most", len(p.Nemesis), mostFaults)
	}
	if err := p.checkArrivals(); err != nil {
		return err
	}
	if (p.PauseEvery > 0) != (p.PauseFor > 0) {
		return errors.New("a load that pauses needs both pause-every and pause-for")
	}
	if err := p.checkNames(sys); err != nil {
		return err
	}
	if _, err := p.checkPromises(cluster.FactsOf(sys)); err != nil {
		return err
	}
	if err := p.checkOperations(); err != nil {
		return err
	}
	if p.Schedule == nil {
		return p.drawSchedule(sys)
	}
	for i, s := range p.Schedule {
		if _, err := p.parseSpec(sys, s.Fault+":"+s.Target); err != nil {
			return fmt.Errorf("schedule, entry %d: %w", i+1, err)
		}
		e, err := s.entry().Complete()
		if err != nil {
			return fmt.Errorf("schedule, entry %d: %w", i+1, err)
		}
		p.Schedule[i].Mode = e.Mode
		if s.At < 0 || s.For <= 0 || s.At > p.Time-s.For { // the sum may be too large for a number
			return fmt.Errorf("schedule, entry %d: it must begin at 0s or later, last a while, and end before the load does, at %s", i+1, p.Time)
		}
	}
	return nil
}

// AllWorkloads is the workload of a plan that stands for all that its system can do.
const AllWorkloads = "all"

// checkWorkload sees that clients of the system can do what the workload asks for.
func (p *Plan) checkWorkload(sys cluster.System) error {
	can, untold := workloads.Supported(sys, p.Options())
	if p.Workload == AllWorkloads {
		if untold != nil {
			return untold
		}
		p.Workload = strings.Join(can, ",")
	}
	p.Workload = workloads.Normal(p.Workload)
	if _, err := workloads.Find(p.Workload); err != nil {
		return err
	}
	for _, name := range workloads.Split(p.Workload) {
		if n := cluster.ShardsOf(sys, p.Options()); untold == nil && n > 1 && !slices.Contains(can, name) {
			return fmt.Errorf("with %d shards %s can't do what the workload %s asks for: each operation goes to the shard that holds its object, and nothing puts operations on several in order (it can do %s)",
				n, p.System, name, strings.Join(can, ", "))
		}
		if untold == nil && !slices.Contains(can, name) {
			return fmt.Errorf("%s can't do what the workload %s asks for (it can do %s)", p.System, name, strings.Join(can, ", "))
		}
	}
	if _, err := p.Judged(); err != nil {
		return fmt.Errorf("workload %s: %w", p.Workload, err)
	}
	return nil
}

// UsualWorkload is the workload for a plan in which nobody has named one: that of the
// default plan if the system can do it, and otherwise the first that it can do.
func (p Plan) UsualWorkload() string {
	name, _, _ := strings.Cut(p.System, "@")
	sys, err := systems.Find(name)
	if err != nil { // that is told when the plan is resolved
		return p.Workload
	}
	can, err := workloads.Supported(sys, p.Options())
	if err != nil || len(can) == 0 || slices.Contains(can, p.Workload) {
		return p.Workload
	}
	return can[0]
}

// Judged is the plan's workload, judged by its consistency. If it names none, transactions
// are judged by what the system promises of them.
func (p Plan) Judged() (workloads.Workload, error) {
	w, err := workloads.Find(p.Workload)
	if err != nil {
		return w, err
	}
	if p.Consistency != "" {
		return w.At(p.Consistency)
	}
	sys, err := p.FindSystem()
	if err != nil { // it is none that coup knows by name
		return w, nil
	}
	if promised, err := w.At(cluster.IsolationOf(sys, p.Options())); err == nil {
		return promised, nil
	}
	return w, nil // it has no transactions
}

// MayBeStale reports whether reads are not promised to show the newest value: by their
// mode, or by what is promised.
func (p Plan) MayBeStale() bool {
	return p.Reads != "linearizable" || p.Consistency != "" && p.Consistency != "linearizable"
}

// checkPromises parses the plan's promises. It fails for a promise that makes no sense,
// and for one that needs something that the system does not tell.
func (p *Plan) checkPromises(told harness.Facts) ([]promise.Promise, error) {
	var all []promise.Promise
	for i, text := range p.Promises {
		one, err := promise.Parse(text)
		if err != nil {
			return nil, err
		}
		if lacking := told.Lacking(one.Needs()...); len(lacking) > 0 {
			return nil, fmt.Errorf("promise %q can't be judged: the nodes of %s tell nothing of %q", text, p.System, lacking)
		}
		p.Promises[i] = one.String()
		all = append(all, one)
	}
	return all, nil
}

// CheckBounds says what is wrong with the bounds on the checkers' time and
// memory, if anything.
func (p Plan) CheckBounds() error {
	return cmp.Or(
		within("check-time", p.CheckTime, Duration(time.Millisecond), Duration(24*time.Hour)),
		within("check-memory", p.CheckMemory, 16, 1<<20),
	)
}

// within is an error if a value is out of range, or no number.
func within[T cmp.Ordered](name string, value, lo, hi T) error {
	if value >= lo && value <= hi {
		return nil
	}
	return fmt.Errorf("%s must be between %v and %v, not %v", name, lo, hi, value)
}

// parseSpec reads "fault:target" and sees that backend and system have the fault.
func (p *Plan) parseSpec(sys cluster.System, s string) (nemesis.Spec, error) {
	spec, err := nemesis.ParseSpec(s, p.targets(sys)...)
	if err != nil {
		return spec, err
	}
	can, err := Capabilities(p.Backend)
	if err != nil {
		return spec, err
	}
	if err := nemesis.Faults[spec.Fault].Available(spec, sys, can, p.Nodes, p.Options()); err != nil {
		return spec, fmt.Errorf("the fault %s is impossible with the backend %s: %w", spec, p.Backend, err)
	}
	return spec, nil
}

// checkNames fails for nodes that are called as what faults can be aimed at in general.
func (p *Plan) checkNames(sys cluster.System) error {
	for _, name := range p.targets(sys) {
		if nemesis.IsTarget(name) {
			return fmt.Errorf("a node can't be called %q, because faults can be aimed at %q in general: give it another name", name, name)
		}
	}
	return nil
}

// targets are the names of nodes and roles that a fault can be aimed at.
func (p *Plan) targets(sys cluster.System) (all []string) {
	if p.Nodes < 1 || p.Nodes > mostNodes {
		return nil
	}
	for _, n := range cluster.NodesOf(sys, p.Nodes, p.Options()) {
		for _, name := range []string{n.Name, n.Role} {
			if name != "" && !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	return all
}

func (p *Plan) drawSchedule(sys cluster.System) error {
	var specs []nemesis.Spec
	for i, s := range p.Nemesis {
		spec, err := p.parseSpec(sys, s)
		if err != nil {
			return err
		}
		p.Nemesis[i] = spec.String()
		specs = append(specs, spec)
	}
	pace := nemesis.PaceOf(cluster.TimingOf(sys, p.Options()))
	every := nemesis.Interval(len(specs), time.Duration(p.Interval), time.Duration(p.Time), pace)
	if n := len(specs) * int(time.Duration(p.Time)/every); n > mostStrikes {
		longer := time.Duration(len(specs)) * time.Duration(p.Time) / mostStrikes
		return fmt.Errorf("%d faults every %v for %s are about %d strikes, and %d are the most: make the interval %v or longer, or the time shorter",
			len(specs), every, p.Time, n, mostStrikes, longer.Truncate(time.Second)+time.Second)
	}
	p.Schedule = []Strike{}
	for _, e := range nemesis.Schedule(specs, p.Seed, time.Duration(p.Interval), time.Duration(p.Time), pace) {
		p.Schedule = append(p.Schedule, Strike{Duration(e.At), Duration(e.For), e.Fault, e.Target, e.Mode, e.Seed})
	}
	return nil
}

// Entries are the strikes for the nemesis.
func (p Plan) Entries() []nemesis.Entry {
	var all []nemesis.Entry
	for _, s := range p.Schedule {
		all = append(all, s.entry())
	}
	return all
}

func (s Strike) entry() nemesis.Entry {
	return nemesis.Entry{At: time.Duration(s.At), For: time.Duration(s.For), Fault: s.Fault, Target: s.Target, Mode: s.Mode, Seed: s.Seed}
}

// Options are what the run asks of the system.
func (p Plan) Options() cluster.Options {
	reads := p.Reads
	if reads == "linearizable" {
		reads = ""
	}
	return cluster.Options{Version: p.Version, Image: p.Image, Bug: p.Bug, Reads: reads, Settings: p.Settings}
}
