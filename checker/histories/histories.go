// Package histories reads histories that other tools recorded, so that they can
// be judged with the checkers of package checker.
//
// Start with [Open] or [Read]; a [Recording] knows the checker that judges it. The format
// of a file is found from its content, whatever its name is:
//
//   - Jepsen's, Knossos', Elle's and Maelstrom's history.edn: a map for each
//     invocation and completion, one after the other or all in one vector; the
//     vectors of process, type, function and value that Knossos had before; and
//     porcupine's histories of key-value stores, which are such maps;
//   - the same as JSON, in an array or one after the other, as elle-cli takes it,
//     and coup's own history.jsonl;
//   - the lines that Jepsen and Knossos log, among any others: jepsen.log,
//     history.txt and the logs among porcupine's test data;
//   - transactions over registers, session by session, of PolySI and Plume (text),
//     DBCop (text, JSON, binary), Cobra (a directory of logs) and AWDIT (text).
//
// Each may be compressed by gzip or bzip2.
//
// The values of a history may be of any kind. Checkers only know integers, so each other
// value gets an integer that stands for it. Results have the values again.
package histories

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"coup/checker/catalogue"
	"coup/checker/model"
	"coup/checker/transactions"
	"coup/harness"
)

// Options say what the values of a history mean.
type Options struct {
	// Model is one of [Models].
	Model string
	// Keys says whether values are pairs of a key and a value.
	Keys Keys
	// Initial, if it is not "", is what every object holds at the beginning, as
	// EDN: a value of a register, a list of the elements of a set, a queue or a
	// stack, the sum of a counter, held for a mutex; or a map of these by key.
	Initial string
	// NilReadsSayNothing leaves out reads that returned nil: as in Knossos, nil is an
	// unknown answer. Otherwise such a read says that there was nothing.
	NilReadsSayNothing bool
	// FailedCASDiffers: a compare-and-set that failed says that the register did not
	// hold the compared value, as in porcupine's model of etcd. Otherwise it is left
	// out, as in Knossos: it may have failed for any reason.
	FailedCASDiffers bool
	// Consistency, if it is not "", is the level that transactions are judged by:
	// one that [transactions.ParseIsolation] knows. Anomalies, separated by commas,
	// must not be there either ([transactions.ParseAnomalies]).
	Consistency, Anomalies string
	// Of are the options of models.
	Of catalogue.Options
}

// Recording is a history that was read.
type Recording struct {
	harness.History
	// Notes say what a reader should know of how it was read.
	Notes []string

	model  string
	format format
	values *values
	level  transactions.Isolation
	// consistency is that of other models
	consistency string
	anomalies   []string
	options     catalogue.Options
}

// Models are the names that Options.Model can take, sorted.
func Models() []string {
	var names []string
	for n := range models {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Checkers judge the recording: by what its model promises, and whether there
// was anything to judge.
func (r *Recording) Checkers() []harness.Checker {
	return []harness.Checker{r.checker(), Succeeded{}}
}

func (r *Recording) checker() harness.Checker {
	switch r.model {
	case "list-append":
		return transactions.Checker{Level: r.level, Anomalies: r.anomalies}
	case "rw-register":
		return transactions.Checker{Registers: true, Level: r.level, Anomalies: r.anomalies}
	}
	e, _ := catalogue.Find(r.model)
	c, err := e.Checker(r.consistency, r.options)
	if err != nil { // Options.Check has seen to it
		panic(err)
	}
	return c
}

// judgesLevels says whether a model is one of transactions, which have levels.
func judgesLevels(name string) bool { return name == "list-append" || name == "rw-register" }

// Succeeded checks that there is anything to judge. A history of which nothing
// succeeded keeps every promise, and proves nothing.
type Succeeded struct{}

// Name implements [harness.Checker].
func (Succeeded) Name() string { return "succeeded" }

// Judges implements [harness.Judging].
func (Succeeded) Judges() harness.Subject { return harness.TheTest }

// Check implements [harness.Checker].
func (Succeeded) Check(_ context.Context, h *harness.History) (harness.Result, error) {
	r := harness.Result{Checker: "succeeded"}
	all, ok := 0, 0
	for i := range h.Operations {
		if op := &h.Operations[i]; op.Process != harness.Beginning {
			all++
			if op.Type == harness.OK {
				ok++
			}
		}
	}
	r.Summary = fmt.Sprintf("%d of %d operations succeeded.", ok, all)
	switch {
	case all == 0:
		r.Valid, r.Summary = harness.Unknown, "There is no operation in the history."
	case ok == 0:
		r.Valid, r.Summary = harness.Unknown, fmt.Sprintf("None of %d operations succeeded, so nothing was put to the test.", all)
	}
	return r, nil
}

// headSize is how much of a file tells its format.
const headSize = 1 << 14

// Read reads a history. An error names the line and what was expected there.
func Read(in io.Reader, o Options) (*Recording, error) {
	c, err := newConversion(o)
	if err != nil {
		return nil, err
	}
	text, err := plain(in)
	if err != nil {
		return nil, err
	}
	head, err := text.Peek(headSize)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("line 1: %w", err)
	}
	f, err := formatOf(head)
	if err != nil {
		return nil, err
	}
	if f.sessionsOnly() {
		return c.readSessions(f, func(s *sessions) error { return s.read(f, text) })
	}
	c.json = f == jsonFormat
	p := newPairing(c.model)
	r := &Recording{model: o.Model, format: f, values: c.values, options: o.Of}
	if !judgesLevels(o.Model) {
		r.consistency = o.Consistency
	} else if r.level, r.anomalies, err = o.promise(); err != nil {
		return nil, err
	}
	switch f {
	case ednFormat, jsonFormat:
		entries := newReader(text, c.json)
		err = readEntries(entries, p.add)
		if c.json && errors.Is(err, errTorn) {
			r.Notes = append(r.Notes, fmt.Sprintf("what begins in line %d, the last, is incomplete and was left out", entries.line))
			err = nil
		}
		if entries.tuple && o.Keys == FindKeys {
			c.options.Keys = WithKeys
		}
	case logFormat:
		err = readLog(text, p.add)
		if err == nil && p.pos == 0 {
			return nil, fmt.Errorf("no operation is in it: expected %s, or lines such as 0\\t:invoke\\t:write\\t1", ednFormat)
		}
	}
	if err != nil {
		return nil, err
	}
	if err := p.finish(); err != nil {
		return nil, err
	}
	if r.Operations, err = c.operations(p); err != nil {
		return nil, err
	}
	if p.alone != nil {
		r.Notes = append(r.Notes, "the history tells of no invocations: each operation may have begun at any time after the one before it of its process had ended")
	}
	return r, nil
}

// Check says what is wrong with the options themselves.
func (o Options) Check() error {
	m, known := models[o.Model]
	if !known {
		return fmt.Errorf("there is no model %q (there are %s)", o.Model, strings.Join(Models(), ", "))
	}
	if err := o.Of.Check(o.Model); err != nil {
		return err
	}
	switch {
	case judgesLevels(o.Model):
		if _, _, err := o.promise(); err != nil {
			return err
		}
	case o.Anomalies != "":
		return fmt.Errorf("--anomalies goes with transactions (--model list-append or rw-register), not with the model %s", o.Model)
	default:
		e, _ := catalogue.Find(o.Model)
		if _, err := e.Checker(o.Consistency, catalogue.Options{}); err != nil {
			return fmt.Errorf("--consistency: %w", err)
		}
	}
	if o.Initial == "" {
		return nil
	}
	if m.beginning == nil && !m.txn {
		return fmt.Errorf("--initial does not go with the model %s", o.Model)
	}
	if _, err := readValue(o.Initial); err != nil {
		return fmt.Errorf("--initial %s: %w", o.Initial, err)
	}
	return nil
}

// promise is what transactions are judged by.
func (o Options) promise() (level transactions.Isolation, anomalies []string, err error) {
	if o.Consistency != "" {
		if level, err = transactions.ParseIsolation(o.Consistency); err != nil {
			return "", nil, fmt.Errorf("--consistency: %w", err)
		}
	}
	if anomalies, err = transactions.ParseAnomalies(o.Anomalies); err != nil {
		return "", nil, fmt.Errorf("--anomalies: %w", err)
	}
	return level, anomalies, nil
}

func newConversion(o Options) (*conversion, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if e, ok := catalogue.Find(o.Model); ok && e.NilReadsSayNothing {
		o.NilReadsSayNothing = true
	}
	return &conversion{values: newValues(), model: models[o.Model], options: o}, nil
}

// operations converts the operations that were read, and puts before them operations that
// give every object its initial value.
func (c *conversion) operations(p *pairing) ([]harness.Operation, error) {
	var initial any
	if c.options.Initial != "" {
		initial, _ = readValue(c.options.Initial) // it was checked
	}
	if err := c.prepare(p); err != nil {
		return nil, err
	}
	if initial != nil && c.options.Model == "rw-register" {
		return c.beginWith(initial, p)
	}
	ops, err := c.convert(p)
	if err != nil || initial == nil && !c.nilIsValue {
		return ops, err
	}
	switch {
	case c.options.Model == "multi-register":
		return c.beginRegisters(initial, ops)
	case c.model.txn:
		return c.beginLists(initial, ops)
	}
	byKey, mapped := initial.(ednMap)
	mapped = mapped && c.keyed
	of := map[string]any{}
	for i := 0; mapped && i < len(byKey); i += 2 {
		of[c.key(byKey[i])] = byKey[i+1]
	}
	begin := func(v any) ([]harness.Operation, error) {
		ops, err := c.model.beginning(c, v)
		if err != nil {
			err = fmt.Errorf("--initial %s: %w", c.options.Initial, err)
		}
		return ops, err
	}
	if !mapped {
		if _, err := begin(initial); err != nil {
			return nil, err
		}
	}
	return before(ops, func(key string) ([]harness.Operation, error) {
		v := initial
		if mapped {
			if v = of[key]; v == nil && !c.nilIsValue {
				return nil, nil
			}
		}
		return begin(v)
	})
}

// before puts operations at the beginning of every object.
func before(ops []harness.Operation, begin func(key string) ([]harness.Operation, error)) ([]harness.Operation, error) {
	var first []harness.Operation
	seen := map[string]bool{}
	pos := 0
	for i := range ops {
		key := ops[i].Key
		if seen[key] {
			continue
		}
		seen[key] = true
		those, err := begin(key)
		if err != nil {
			return nil, err
		}
		for _, op := range those {
			op.Process, op.Key, op.Type, op.Call, op.Return, op.Index = harness.Beginning, key, harness.OK, pos, pos+1, noIndex
			pos += 2
			first = append(first, op)
		}
	}
	for i := range ops {
		op := &ops[i]
		op.Call += pos
		if op.Return != harness.Open {
			op.Return += pos
		}
	}
	return append(first, ops...), nil
}

// writesNil says whether somebody writes nil to a register.
func (c *conversion) writesNil(p *pairing) bool {
	if c.options.Model != "register" && c.options.Model != "cas-register" {
		return false
	}
	for i := range p.ops {
		op := &p.ops[i]
		key, v, err := c.unkey(op.Input)
		if err != nil || op.F == "read" {
			continue
		}
		if v, err = settled(function{name: op.F}, v, c.unkeyAnswer(op.Output, key)); err != nil {
			continue
		}
		_, to, ok := pair(v)
		if op.F == "write" && v == nil || op.F == "cas" && ok && to == nil {
			return true
		}
	}
	return false
}

// beginWith converts transactions over registers with initial values, one for all or one
// for each. A read of the initial value becomes a read of nothing, if nobody writes that
// value.
func (c *conversion) beginWith(initial any, p *pairing) ([]harness.Operation, error) {
	byKey, mapped := initial.(ednMap)
	if !mapped {
		byKey = ednMap{nil, initial}
	}
	of := map[string]int64{}
	for i := 0; i < len(byKey); i += 2 {
		id, err := c.id(byKey[i+1])
		if err != nil {
			return nil, fmt.Errorf("--initial %s: %w", c.options.Initial, err)
		}
		key := ""
		if mapped {
			key = c.key(byKey[i])
		}
		of[key] = id
	}
	starts := func(key string) (int64, bool) {
		if !mapped {
			key = ""
		}
		id, ok := of[key]
		return id, ok
	}
	c.nilIsValue = !mapped
	ops, err := c.convert(p)
	if err != nil {
		return nil, err
	}
	for i := range ops {
		in, _ := ops[i].Input.(model.Txn)
		for _, m := range in {
			if id, ok := starts(m.Key); ok && m.F == "w" && m.Value == id && ops[i].Type != harness.Fail {
				return nil, fmt.Errorf("line %d: what %s holds at the beginning is written to it: nobody can tell these two apart", ops[i].Line, m.Key)
			}
		}
		out, _ := ops[i].Output.(model.Txn)
		for j, m := range out {
			if id, ok := starts(m.Key); ok && m.F == "r" && m.Seen == model.Just(id) {
				out[j].Seen = model.Maybe{}
			}
		}
	}
	return ops, nil
}

// beginRegisters puts a transaction before all others of an object, which nobody performed
// and which writes to every register what it holds at the beginning.
func (c *conversion) beginRegisters(initial any, ops []harness.Operation) ([]harness.Operation, error) {
	of := map[string]any{}
	byKey, mapped := initial.(ednMap)
	for i := 0; i < len(byKey); i += 2 {
		of[c.key(byKey[i])] = byKey[i+1]
	}
	return before(ops, func(key string) ([]harness.Operation, error) {
		var first model.Txn
		seen := map[string]bool{}
		for i := range ops {
			steps, _ := ops[i].Input.(model.Txn)
			for _, m := range steps {
				v := initial
				if mapped {
					v = of[m.Key]
				}
				if ops[i].Key != key || seen[m.Key] || v == nil {
					continue
				}
				seen[m.Key] = true
				id, err := c.id(v)
				if err != nil {
					return nil, fmt.Errorf("--initial %s: %w", c.options.Initial, err)
				}
				first = append(first, model.Micro{F: "w", Key: m.Key, Value: id})
			}
		}
		if len(first) == 0 {
			return nil, nil
		}
		return []harness.Operation{{F: "txn", Input: first, Output: first}}, nil
	})
}

// beginLists puts a transaction before all others, which nobody performed and which
// appends the initial elements of every list.
func (c *conversion) beginLists(initial any, ops []harness.Operation) ([]harness.Operation, error) {
	of := map[string]any{}
	byKey, mapped := initial.(ednMap)
	for i := 0; i < len(byKey); i += 2 {
		of[c.key(byKey[i])] = byKey[i+1]
	}
	var first model.Txn
	seen := map[string]bool{}
	for i := range ops {
		steps, _ := ops[i].Input.(model.Txn)
		for _, m := range steps {
			if seen[m.Key] {
				continue
			}
			seen[m.Key] = true
			v := initial
			if mapped {
				v = of[m.Key]
			}
			elements, err := c.list(v)
			if err != nil {
				return nil, fmt.Errorf("--initial %s: %w", c.options.Initial, err)
			}
			for _, e := range elements {
				first = append(first, model.Micro{F: "append", Key: m.Key, Value: e})
			}
		}
	}
	if len(first) == 0 {
		return ops, nil
	}
	for i := range ops {
		op := &ops[i]
		op.Call += 2
		if op.Return != harness.Open {
			op.Return += 2
		}
	}
	return append([]harness.Operation{{Process: harness.Beginning, F: "txn", Input: first, Output: first, Type: harness.OK, Return: 1, Index: noIndex}}, ops...), nil
}

// readValue reads one EDN value.
func readValue(text string) (any, error) {
	r := newReader(strings.NewReader(text), false)
	v, err := r.next()
	if err == io.EOF {
		return nil, errors.New("expected a value")
	}
	if err != nil {
		return nil, err
	}
	if _, err := r.next(); err != io.EOF {
		return nil, errors.New("expected one value")
	}
	if s, ok := v.(symbol); ok && s != "held" && s != "free" {
		return string(s), nil
	}
	return v, nil
}

// readSessions makes a recording of transactions session by session.
func (c *conversion) readSessions(f format, read func(*sessions) error) (*Recording, error) {
	if c.options.Model != "rw-register" {
		return nil, fmt.Errorf("%s tells of transactions over registers: --model rw-register", f)
	}
	if c.options.Initial != "" {
		return nil, fmt.Errorf("%s says itself what everything holds at the beginning: leave --initial out", f)
	}
	s := &sessions{values: c.values}
	if err := read(s); err != nil {
		return nil, err
	}
	r := &Recording{model: c.options.Model, format: f, values: c.values}
	var err error
	if r.level, r.anomalies, err = c.options.promise(); err != nil {
		return nil, err
	}
	switch {
	case r.level.NeedsTime():
		return nil, fmt.Errorf("%s tells of no time, which %s is about: choose a weaker level with --consistency", f, r.level)
	case r.level == "" && len(r.anomalies) == 0:
		r.level = transactions.Serializable
		r.Notes = []string{fmt.Sprintf("%s tells of no time: it was judged whether the transactions are serializable in any order", f)}
	default:
		r.Notes = []string{fmt.Sprintf("%s tells of no time, only of the order of each session", f)}
	}
	r.Operations, err = s.operations()
	return r, err
}

func (s *sessions) read(f format, in *bufio.Reader) error {
	lines := &lineReader{in: in}
	switch f {
	case plumeFormat:
		return s.plume(lines)
	case awditFormat:
		return s.awdit(lines)
	case dbcopFormat:
		return s.dbcop(lines)
	case dbcopJSONFormat:
		return s.dbcopJSON(newReader(in, true))
	case bincodeFormat:
		return s.bincode(in)
	default:
		return s.cobra(in, 0)
	}
}

// storeFiles are the names that the history of a run has in the directory of the
// tool that made the run.
var storeFiles = []string{"history.edn", "history.edn.gz", "history.json", "history.jsonl", "history.bincode", "history.txt", "jepsen.log"}

// Open reads the history in a file, or in the directory of a run of Jepsen,
// DBCop or Cobra. Errors name the file.
func Open(path string, o Options) (*Recording, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		logs, _ := filepath.Glob(filepath.Join(path, "*.log")) // the pattern is well formed, or there are none
		for _, name := range storeFiles {
			file := filepath.Join(path, name)
			if _, err := os.Stat(file); err == nil {
				return Open(file, o)
			} else if !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
		if len(logs) == 0 {
			return nil, fmt.Errorf("%s holds no history (%s)", path, strings.Join(storeFiles, ", "))
		}
		return openCobra(path, logs, o)
	}
	r, err := Read(f, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// openCobra reads the logs of a directory, each of which is a session.
func openCobra(dir string, logs []string, o Options) (*Recording, error) {
	c, err := newConversion(o)
	if err != nil {
		return nil, err
	}
	return c.readSessions(cobraFormat, func(s *sessions) error {
		for n, name := range logs {
			if err := readCobra(s, name, n); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	})
}

func readCobra(s *sessions, name string, session int) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<16)
	if head, _ := in.Peek(18); !isCobra(head) {
		return errors.New("this is no log of Cobra's")
	}
	return s.cobra(in, session)
}

// FormatOf says in words how a history is written down, "" if there is nothing.
// An error says why it cannot be read.
func FormatOf(in io.Reader) (string, error) {
	text, err := plain(in)
	if err != nil {
		return "", err
	}
	head, _ := text.Peek(headSize)
	f, err := formatOf(head)
	if err != nil || f == emptyFormat {
		return "", err
	}
	return f.String(), nil
}
