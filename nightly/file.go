package nightly

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"coup/plan"
)

// File is a night as people write it, in YAML. Its cells are those of Cells, of Matrix,
// and of the files that it includes.
type File struct {
	Plan    words    `yaml:"plan"`    // words of a plan, for all cells of this file
	Cells   []words  `yaml:"cells"`   // each a listed
	Matrix  matrices `yaml:"matrix"`  // one, or a list of them
	Include []string `yaml:"include"` // files, or patterns of files, beside this one
	Known   string   `yaml:"known"`   // the file of known failures

	// The rest counts in the file that coup is given, and not in those that it includes.

	Budget plan.Duration `yaml:"budget"` // no run begins after so long; 0: no bound
	Must   Must          `yaml:"must"`
	Keep   Keep          `yaml:"keep"`
	Look   Look          `yaml:"look"`
}

// Must is how much a night has to do at least, to prove anything.
type Must struct {
	Cells      Percent  `yaml:"cells" json:"cells"`           // of all cells must have run; 0: half of them
	Run        []string `yaml:"run" json:"run,omitempty"`     // cells, or patterns of cells, that must have run
	Operations int      `yaml:"operations" json:"operations"` // that succeeded; 0: one
	Faults     int      `yaml:"faults" json:"faults"`         // that had an effect
}

// Keep bounds what nights leave on disk. Valid runs leave only their figures.
type Keep struct {
	Nights   int           `yaml:"nights" json:"nights"`     // 0: 90
	Failures plan.Duration `yaml:"failures" json:"failures"` // how old the runs that are kept may be; 0: 30 days
	Size     Bytes         `yaml:"size" json:"size"`         // of all nights of a folder; 0: 1 GB
}

// Look bounds how closely a new failure is looked at.
type Look struct {
	Again  int `yaml:"again" json:"again"`   // in containers: runs of the same schedule; 0: 5
	Shrink int `yaml:"shrink" json:"shrink"` // on simulated machines: runs of a search for a smaller plan; 0: 100
	// Unknown is how often a run in containers that proved nothing is tried again: on a
	// busy machine that happens. 0: 2.
	Unknown int `yaml:"unknown" json:"unknown"`
	// Gone is how often a run in containers that should have been invalid and was valid is
	// made again, with other seeds: most contrasts take some luck. 0: never; nil: 2.
	Gone *int `yaml:"gone" json:"gone"`
}

func (f *File) fill() {
	f.Must.Cells = cmp.Or(f.Must.Cells, 50)
	f.Must.Operations = cmp.Or(f.Must.Operations, 1)
	f.Keep = Keep{cmp.Or(f.Keep.Nights, 90), cmp.Or(f.Keep.Failures, plan.Duration(30*24*time.Hour)), cmp.Or(f.Keep.Size, 1e9)}
	f.Look = Look{cmp.Or(f.Look.Again, 5), cmp.Or(f.Look.Shrink, 100), cmp.Or(f.Look.Unknown, 2), cmp.Or(f.Look.Gone, new(2))}
}

// Expect is what a cell should show.
type Expect string

const (
	ExpectValid   Expect = "valid"
	ExpectInvalid Expect = "invalid" // in one of its runs at least: a contrast, such as a planted bug
	ExpectAny     Expect = "any"     // it only gives figures
)

// Cell is one plan of a night, which is run once for each of its seeds.
type Cell struct {
	Name    string    `json:"name"`
	Expect  Expect    `json:"expect"`
	Why     string    `json:"why,omitempty"`
	Defect  *Defect   `json:"defect,omitempty"`
	Plan    plan.Plan `json:"plan"`           // not resolved
	Node    string    `json:"node,omitempty"` // the program of simulated nodes; "": the bundled one
	Seeds   []uint64  `json:"seeds"`
	Problem string    `json:"problem,omitempty"` // why it can't be run; then Plan may be anything
}

// listed is a cell as people list it.
type listed struct {
	Name   string `yaml:"name"`
	Expect Expect `yaml:"expect"`
	Why    string `yaml:"why"`
	From   string `yaml:"from"` // a file that holds a plan, which Plan changes
	Plan   words  `yaml:"plan"`
	Node   string `yaml:"node"` // the program of simulated nodes, as for coup run --node
	Draws  `yaml:",inline"`

	// A reported defect has a link, and what is run to show that it is not there.
	Link    string  `yaml:"link"`
	Without without `yaml:"without"`
}

// without is what a defect does not show in: a release, a setting. It becomes a cell of its
// own, the control, with the plan of the first one, which Plan changes.
type without struct {
	Name string `yaml:"name"`
	Plan words  `yaml:"plan"`
}

// Draws says how often a cell is run.
type Draws struct {
	Seeds  seeds `yaml:"seeds"`  // the same seeds each night
	Fresh  int   `yaml:"fresh"`  // so many seeds, and other ones each night
	Repeat int   `yaml:"repeat"` // each seed so often; on simulated machines, where it would do the same again, with seeds of its own
}

// matrix is every combination of the values of some words of a plan.
type matrix struct {
	Name    string          `yaml:"name"` // before the names of the cells
	Expect  Expect          `yaml:"expect"`
	Why     string          `yaml:"why"`
	Plan    words           `yaml:"plan"` // for all cells
	Axes    yaml.MapSlice   `yaml:"axes"` // each word with its values; the first one changes last
	Exclude []yaml.MapSlice `yaml:"exclude"`
	Include []yaml.MapSlice `yaml:"include"` // combinations beside those of the axes
	Draws   `yaml:",inline"`
}

// words are a part of a plan, in YAML that is read later: a mistake in it is the matter of
// its cell.
type words []byte

// UnmarshalYAML implements yaml.BytesUnmarshaler.
func (w *words) UnmarshalYAML(b []byte) error {
	*w = bytes.Clone(b)
	return nil
}

// mended are the words as YAML means them; see mend. It passes an earlier error on.
func (w words) mended(err error) (words, error) {
	var all yaml.MapSlice
	if err != nil || !bytes.Contains(w, []byte("{")) || decode(w, &all) != nil {
		return w, err // what is no YAML is told by whoever reads it as a plan
	}
	mend(all)
	return yaml.Marshal(all)
}

// mend puts right what goccy/go-yaml 1.19 reads wrongly: within {}, it takes the string
// kill:leader of a list for a map (https://github.com/goccy/go-yaml/issues/832).
func mend(all yaml.MapSlice) {
	for _, item := range all {
		list, _ := item.Value.([]any)
		for j := range list {
			if one, ok := list[j].(map[string]any); ok && len(one) == 1 && item.Key == "nemesis" {
				for key, value := range one {
					list[j] = fmt.Sprintf("%s:%v", key, value)
				}
			}
		}
	}
}

// matrices may be written as one.
type matrices []matrix

// UnmarshalYAML implements yaml.BytesUnmarshaler.
func (m *matrices) UnmarshalYAML(b []byte) error {
	if t := bytes.TrimSpace(b); bytes.HasPrefix(t, []byte("-")) || bytes.HasPrefix(t, []byte("[")) {
		return decode(b, (*[]matrix)(m))
	}
	*m = make(matrices, 1)
	return decode(b, &(*m)[0])
}

// seeds are written 7, 1-5 or [1, 7].
type seeds []uint64

// UnmarshalYAML implements yaml.BytesUnmarshaler.
func (s *seeds) UnmarshalYAML(b []byte) error {
	text := strings.Trim(strings.TrimSpace(string(b)), `"'`)
	if strings.HasPrefix(text, "[") || strings.HasPrefix(text, "-") {
		return decode(b, (*[]uint64)(s))
	}
	first, last, ranged := strings.Cut(text, "-")
	from, err := strconv.ParseUint(strings.TrimSpace(first), 10, 64)
	to := from
	if ranged && err == nil {
		to, err = strconv.ParseUint(strings.TrimSpace(last), 10, 64)
	}
	if err != nil || from < 1 || to < from || to-from >= mostRuns {
		return fmt.Errorf("seeds are written 7, 1-5 or [1, 7], not %s", text)
	}
	for seed := from; seed <= to; seed++ {
		*s = append(*s, seed)
	}
	return nil
}

// Percent is written 90 or 90%.
type Percent float64

// UnmarshalYAML implements yaml.BytesUnmarshaler.
func (p *Percent) UnmarshalYAML(b []byte) error {
	text := strings.TrimSuffix(strings.Trim(strings.TrimSpace(string(b)), `"'`), "%")
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v >= 0 && v <= 100) {
		return fmt.Errorf("%q is no share such as 90%%", b)
	}
	*p = Percent(v)
	return nil
}

// Bytes is written 500MB or 1GB.
type Bytes int64

// UnmarshalYAML implements yaml.BytesUnmarshaler.
func (n *Bytes) UnmarshalYAML(b []byte) error {
	text := strings.Trim(strings.TrimSpace(string(b)), `"'`)
	for unit, size := range map[string]float64{"KB": 1e3, "MB": 1e6, "GB": 1e9} {
		if number, ok := strings.CutSuffix(text, unit); ok {
			if v, err := strconv.ParseFloat(strings.TrimSpace(number), 64); err == nil && v > 0 && v < 1e6 {
				*n = Bytes(v * size)
				return nil
			}
		}
	}
	return fmt.Errorf("%q is no size such as 500MB or 1GB", b)
}

const (
	mostCells = 10_000
	mostRuns  = 10_000 // of a cell
)

// decode decodes YAML strictly. The decoder panics over some files that are no YAML.
func decode(b []byte, v any) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("this is no YAML")
		}
	}()
	err = yaml.NewDecoder(bytes.NewReader(b), yaml.Strict()).Decode(v)
	if errors.Is(err, io.EOF) {
		return nil
	}
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil {
		return fmt.Errorf("line %d: %s", at.GetToken().Position.Line, at.GetMessage())
	}
	return err
}

// Spec is what files say of a night.
type Spec struct {
	Name   string
	Budget time.Duration
	Must   Must
	Keep   Keep
	Look   Look
	Cells  []Cell
	Known  []Known
}

// Read reads the files of a night. Several files are as one that includes them. night
// names the night: fresh seeds are drawn from it. A cell that makes no sense, or an included file
// that can't be read, is a cell with a problem; the error is that of a file that can't be read at all.
func Read(night string, paths ...string) (Spec, error) {
	r := reader{night: night, seen: map[string]bool{}, names: map[string]bool{}}
	var top File
	for i, path := range paths {
		f, err := r.file(path)
		if err != nil {
			return Spec{}, err
		}
		if i == 0 {
			top = f
		}
	}
	top.fill()
	name := strings.TrimSuffix(filepath.Base(paths[0]), filepath.Ext(paths[0]))
	if len(paths) > 1 {
		top.Must.Run, top.Budget = nil, 0
		name = "several"
		if abs, err := filepath.Abs(filepath.Dir(paths[0])); err == nil {
			name = filepath.Base(abs)
		}
	}
	if err := cmp.Or(nonNegative("budget", int64(top.Budget)), nonNegative("must: operations", int64(top.Must.Operations)), nonNegative("must: faults", int64(top.Must.Faults)),
		nonNegative("keep: nights", int64(top.Keep.Nights)), nonNegative("keep: failures", int64(top.Keep.Failures)), nonNegative("look: again", int64(top.Look.Again)), nonNegative("look: gone", int64(*top.Look.Gone)),
		nonNegative("look: shrink", int64(top.Look.Shrink)), nonNegative("look: unknown", int64(top.Look.Unknown))); err != nil {
		return Spec{}, fmt.Errorf("%s: %w", paths[0], err)
	}
	if len(r.cells) == 0 {
		return Spec{}, fmt.Errorf("%s: there are no cells: a night needs cells, a matrix, or files to include", paths[0])
	}
	if len(r.cells) > mostCells {
		return Spec{}, fmt.Errorf("%s: these are %d cells, and %d are the most", paths[0], len(r.cells), mostCells)
	}
	return Spec{name, time.Duration(top.Budget), top.Must, top.Keep, top.Look, r.cells, r.known}, nil
}

func nonNegative(name string, v int64) error {
	if v < 0 {
		return fmt.Errorf("%s can't be less than 0", name)
	}
	return nil
}

// reader gathers the cells of files.
type reader struct {
	night string
	seen  map[string]bool // files, by their absolute path
	names map[string]bool // of cells
	cells []Cell
	known []Known
}

func (r *reader) file(path string) (File, error) {
	var f File
	abs, err := filepath.Abs(path)
	if err != nil || r.seen[abs] {
		return f, err
	}
	r.seen[abs] = true
	b, err := os.ReadFile(path)
	if err != nil {
		return f, err
	}
	if err := decode(b, &f); err != nil {
		return f, fmt.Errorf("%s: %w", path, err)
	}
	if f.Known != "" {
		known, err := ReadKnown(filepath.Join(filepath.Dir(path), f.Known))
		if err != nil {
			return f, err
		}
		r.known = append(r.known, known...)
	}
	for i, b := range f.Cells {
		l := listed{Name: fmt.Sprintf("%s, cell %d", filepath.Base(path), i+1)}
		err := decode(b, &l)
		layers := []words{f.Plan}
		if l.From != "" && err == nil {
			var from words
			from, err = os.ReadFile(filepath.Join(filepath.Dir(path), l.From))
			layers = append(layers, from)
		}
		if l.Node != "" {
			l.Node = filepath.Join(filepath.Dir(path), l.Node)
			if _, missing := os.Stat(l.Node); err == nil && missing != nil {
				err = fmt.Errorf("%w (make node builds such a program)", missing)
			}
		}
		layers = append(layers, l.Plan)
		c := Cell{Name: l.Name, Expect: l.Expect, Why: l.Why, Node: l.Node}
		if l.Without.Name == "" {
			r.add(c, l.Draws, err, layers...)
			continue
		}
		c.Defect = &Defect{Link: l.Link, Without: l.Without.Name, Control: l.Name + ", control"}
		r.add(c, l.Draws, err, layers...)
		r.add(Cell{Name: c.Defect.Control, Why: "the same without the defect", Node: l.Node}, l.Draws, err, append(slices.Clone(layers), l.Without.Plan)...)
	}
	for _, m := range f.Matrix {
		if err := r.matrix(f, m); err != nil {
			return f, fmt.Errorf("%s: %w", path, err)
		}
	}
	for _, name := range f.Include {
		r.include(filepath.Join(filepath.Dir(path), name))
	}
	return f, nil
}

func (r *reader) include(pattern string) {
	files, err := filepath.Glob(pattern)
	if err == nil && len(files) == 0 && !strings.ContainsAny(pattern, "*?[") {
		files = []string{pattern}
	}
	for _, file := range files {
		if _, err := r.file(file); err != nil {
			r.add(Cell{Name: file}, Draws{}, err)
		}
	}
	if err != nil {
		r.add(Cell{Name: pattern}, Draws{}, err)
	}
}

// add adds a cell whose plan is that of coup's defaults and these words.
func (r *reader) add(c Cell, d Draws, err error, layers ...words) {
	name := c.Name
	c.Expect, c.Plan = cmp.Or(c.Expect, ExpectValid), plan.Default()
	for _, layer := range layers {
		if layer, err = layer.mended(err); err == nil {
			err = c.Plan.Parse("plan", layer)
		}
	}
	if err == nil && !slices.Contains([]Expect{ExpectValid, ExpectInvalid, ExpectAny}, c.Expect) {
		err = fmt.Errorf("expect is valid, invalid or any, not %q", c.Expect)
	}
	if err == nil && (d.Fresh < 0 || d.Repeat < 0 || max(1, len(d.Seeds)+d.Fresh)*max(1, d.Repeat) > mostRuns) {
		err = fmt.Errorf("fresh and repeat must be 0 or more, and make no more than %d runs", mostRuns)
	}
	if err == nil {
		c.Seeds = d.of(c, r.night)
		for _, seed := range c.Seeds[:1] {
			resolved := c.Plan
			resolved.Nemesis, resolved.Seed = slices.Clone(c.Plan.Nemesis), seed
			err = resolved.Resolve()
		}
	}
	if r.names[name] {
		err = errors.New("another cell has the same name")
		for i := 2; r.names[c.Name]; i++ {
			c.Name = fmt.Sprintf("%s (%d)", name, i)
		}
	}
	r.names[c.Name] = true
	if err != nil {
		c.Problem, c.Seeds = err.Error(), []uint64{1}
	}
	r.cells = append(r.cells, c)
}

// of are the seeds of a cell's runs.
func (d Draws) of(c Cell, night string) (all []uint64) {
	once := slices.Clone(d.Seeds)
	if len(once) == 0 && d.Fresh == 0 {
		if c.Plan.Seed == 0 {
			d.Fresh = 1
		} else {
			once = []uint64{c.Plan.Seed}
		}
	}
	for i := range d.Fresh {
		once = append(once, drawn(night, c.Name, i))
	}
	for _, seed := range once {
		for i := range max(1, d.Repeat) {
			if c.Plan.Backend == plan.Simulated && i > 0 {
				all = append(all, drawn("repeat", fmt.Sprint(seed), i))
			} else {
				all = append(all, seed)
			}
		}
	}
	return all
}

// matrix adds every combination of a matrix.
func (r *reader) matrix(f File, m matrix) error {
	for _, c := range slices.Concat(m.Include, m.Exclude) {
		mend(c)
	}
	all := []yaml.MapSlice{{}}
	for _, axis := range m.Axes {
		values, ok := axis.Value.([]any)
		if !ok || len(values) == 0 {
			return fmt.Errorf("axes: %v needs a list of values", axis.Key)
		}
		var longer []yaml.MapSlice
		for _, c := range all {
			for _, v := range values {
				longer = append(longer, append(slices.Clone(c), yaml.MapItem{Key: axis.Key, Value: v}))
			}
		}
		if all = longer; len(all) > mostCells {
			return fmt.Errorf("the matrix has more than %d cells", mostCells)
		}
	}
	all = slices.DeleteFunc(all, func(c yaml.MapSlice) bool {
		return slices.ContainsFunc(m.Exclude, func(out yaml.MapSlice) bool { return covers(out, c) })
	})
	for _, c := range append(all, m.Include...) {
		b, err := yaml.Marshal(c)
		r.add(Cell{Name: nameOf(m.Name, c), Expect: m.Expect, Why: m.Why}, m.Draws, err, f.Plan, m.Plan, b)
	}
	return nil
}

// covers says whether a combination has all values that out names.
func covers(out, c yaml.MapSlice) bool {
	for _, want := range out {
		if !slices.ContainsFunc(c, func(has yaml.MapItem) bool {
			return has.Key == want.Key && short(has.Value) == short(want.Value)
		}) {
			return false
		}
	}
	return len(out) > 0
}

// nameOf is the name of a combination: its values.
func nameOf(prefix string, c yaml.MapSlice) string {
	var parts []string
	if prefix != "" {
		parts = append(parts, prefix)
	}
	for _, item := range c {
		if s := short(item.Value); s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, "/")
}

// short writes a value of a word in a few letters.
func short(v any) string {
	switch v := v.(type) {
	case []any:
		var parts []string
		for _, p := range v {
			parts = append(parts, short(p))
		}
		return strings.Join(parts, "+")
	case map[string]any:
		var parts []string
		for k, p := range v {
			parts = append(parts, k+"="+short(p))
		}
		slices.Sort(parts)
		return strings.Join(parts, ",")
	default:
		return fmt.Sprint(v)
	}
}
