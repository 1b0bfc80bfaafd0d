package invariants

import (
	"context"
	"fmt"
	"slices"

	"coup/checker/model"
	"coup/checker/story"
	"coup/harness"
)

// Objects checks, for each directory of a history of [model.Directory], what a store of
// objects promises if it promises nothing of lists and renames: an object is shown as it
// was written and appended to, whole; and one that was acknowledged is there. Each block
// must be written once in a directory. The kinds of findings are
//
//   - damaged: bytes that are no block;
//   - invented: a block that nobody had written;
//   - failed: one of a write or an append that failed;
//   - torn: a part of a write or of an append;
//   - mixed: blocks of several writes in one object;
//   - twice: a block that was written once and is there twice;
//   - lost: nothing, although an object was acknowledged under that name and nobody has
//     renamed it since;
//   - stale: an object that was replaced before the read began.
type Objects struct{}

// Name implements [harness.Checker].
func (Objects) Name() string { return "objects" }

// Check implements [harness.Checker].
func (c Objects) Check(_ context.Context, h *harness.History) (harness.Result, error) {
	err := check(h, "a directory", func(op *harness.Operation) bool {
		switch in := op.Input.(type) {
		case model.Stored:
			return op.F == "write" || op.F == "append"
		case model.Renamed:
			return op.F == "rename"
		case string:
			_, ok := op.Output.(model.Content)
			return op.F == "read" && (ok || op.Type != harness.OK)
		default:
			return op.F == "list" && in == nil
		}
	})
	if err != nil {
		return harness.Result{Checker: c.Name()}, err
	}
	f := find(model.Directory(), h, "damaged", "invented", "failed", "torn", "mixed", "twice", "lost", "stale")
	dirs := map[string]*objects{}
	at := func(key string) *objects {
		if dirs[key] == nil {
			dirs[key] = &objects{source: map[int64]*harness.Operation{}}
		}
		return dirs[key]
	}
	for i := range h.Operations {
		op := &h.Operations[i]
		d := at(op.Key)
		switch in := op.Input.(type) {
		case model.Stored:
			for _, n := range in.Blocks {
				if d.source[n] != nil {
					return harness.Result{Checker: c.Name()}, fmt.Errorf("block %d is written twice in %s", n, op.Key)
				}
				d.source[n] = op
			}
			d.empty = d.empty || len(in.Blocks) == 0
			if op.F == "write" && op.Type != harness.Fail {
				d.changes = append(d.changes, op)
			}
		case model.Renamed:
			if op.Type != harness.Fail {
				d.changes = append(d.changes, op)
			}
		}
	}
	for i := range h.Operations {
		op := &h.Operations[i]
		if op.F != "read" || op.Type != harness.OK {
			continue
		}
		f.Counts["reads"]++
		if kind, text, proof := dirs[op.Key].judge(op); kind != "" {
			f.add(kind, op.Key, fmt.Sprintf("Process %d was shown %s", op.Process, text), append(proof, op)...)
		}
	}
	r := f.result(c.Name(), "Objects are not as they were written", fmt.Sprintf("Each of %s showed an object as it was written and appended to, or rightly none.", story.Plural(f.Counts["reads"], "read")))
	if r.Valid == harness.Valid && f.Counts["reads"] == 0 {
		r.Valid, r.Summary = harness.Unknown, "Nobody read an object."
	}
	return r, nil
}

// objects is what was done to a directory.
type objects struct {
	source  map[int64]*harness.Operation // by block: what wrote it
	changes []*harness.Operation         // writes and renames that did not fail, in the order of their calls
	empty   bool                         // somebody writes an object without blocks
}

// judge says what is wrong with a read; kind is "" if nothing is.
func (d *objects) judge(read *harness.Operation) (kind, text string, proof []*harness.Operation) {
	name, got := read.Input.(string), read.Output.(model.Content)
	if !got.Found {
		return d.missing(name, read)
	}
	seen := map[int64]bool{}
	for _, n := range got.Blocks {
		from := d.source[n]
		switch {
		case n == model.Damaged:
			return "damaged", fmt.Sprintf("bytes in %s that are no block.", name), nil
		case from == nil || from.Call > read.Return:
			return "invented", fmt.Sprintf("block %d in %s, which nobody had written.", n, name), []*harness.Operation{from}
		case from.Type == harness.Fail:
			return "failed", fmt.Sprintf("block %d in %s, whose %s had failed.", n, name, from.F), []*harness.Operation{from}
		case seen[n]:
			return "twice", fmt.Sprintf("block %d twice in %s.", n, name), []*harness.Operation{from}
		}
		seen[n] = true
	}
	for rest := got.Blocks; len(rest) > 0; {
		from := d.source[rest[0]]
		whole := from.Input.(model.Stored).Blocks
		first := len(rest) == len(got.Blocks)
		switch {
		case len(rest) < len(whole) || !slices.Equal(rest[:len(whole)], whole):
			for _, n := range rest {
				if other := d.source[n]; other != from && other.F == "write" {
					return "mixed", fmt.Sprintf("blocks of two writes in %s.", name), []*harness.Operation{from, other}
				}
			}
			return "torn", fmt.Sprintf("in %s a part of what was one %s, %s.", name, from.F, model.ListText(whole)), []*harness.Operation{from}
		case first && from.F == "append" && !d.empty:
			return "torn", fmt.Sprintf("in %s what was appended and not what was written before.", name), []*harness.Operation{from}
		case !first && from.F == "write":
			return "mixed", fmt.Sprintf("blocks of two writes in %s.", name), []*harness.Operation{d.source[got.Blocks[0]], from}
		}
		rest = rest[len(whole):]
	}
	return d.replaced(name, read)
}

// target is the name under which a change puts an object.
func target(op *harness.Operation) string {
	if in, ok := op.Input.(model.Renamed); ok {
		return in.To
	}
	return op.Input.(model.Stored).Name
}

// latest is, of the changes that put an object under a name and were acknowledged before
// a read began, the one that was called last.
func (d *objects) latest(name string, read *harness.Operation) (put *harness.Operation) {
	for _, op := range d.changes {
		if target(op) == name && op.Type == harness.OK && op.Return < read.Call {
			put = op
		}
	}
	return put
}

// missing judges a read that showed no object.
func (d *objects) missing(name string, read *harness.Operation) (kind, text string, proof []*harness.Operation) {
	put := d.latest(name, read)
	if put == nil {
		return "", "", nil
	}
	for _, op := range d.changes {
		if in, ok := op.Input.(model.Renamed); ok && in.From == name && op.Call < read.Return && model.Returned(op) > put.Call {
			return "", "", nil
		}
	}
	return "lost", fmt.Sprintf("nothing under the name %s.", name), []*harness.Operation{put}
}

// replaced judges a read that showed an object that is whole.
func (d *objects) replaced(name string, read *harness.Operation) (kind, text string, proof []*harness.Operation) {
	put, got := d.latest(name, read), read.Output.(model.Content)
	if put == nil || len(got.Blocks) == 0 {
		return "", "", nil
	}
	from := d.source[got.Blocks[0]]
	if model.Returned(from) > put.Call {
		return "", "", nil
	}
	for _, op := range d.changes {
		if _, renames := op.Input.(model.Renamed); renames && target(op) == name && op.Call < read.Return && model.Returned(op) > from.Call {
			return "", "", nil // it may have come with that
		}
	}
	return "stale", fmt.Sprintf("in %s what had been replaced.", name), []*harness.Operation{from, put}
}
