package nightly

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"coup/results"
)

// Merge makes one night of several: the shards of a night that ran on several machines.
// dirs are folders of nights, or folders that hold one. The merged night goes into the folder out,
// beside those before. A cell that several of them have counts once: the first one that was run.
func Merge(dirs []string, out string) (Report, error) {
	var parts []Report
	var from []string
	for _, dir := range dirs {
		night := newest(dir)
		if night == "" {
			return Report{}, &InputError{fmt.Errorf("%s holds no night: there is no %s", dir, ReportFile)}
		}
		var r Report
		if err := results.ReadJSON(night, ReportFile, &r); err != nil {
			return Report{}, &InputError{err}
		}
		if r.Schema != Schema {
			return Report{}, &InputError{fmt.Errorf("%s was written by another release of coup (schema %d, not %d)", night, r.Schema, Schema)}
		}
		if len(parts) > 0 && (r.Name != parts[0].Name || !slices.Equal(r.NamedCells, parts[0].NamedCells)) {
			return Report{}, &InputError{fmt.Errorf("%s is of the night %s with other cells than those of %s: only shards of the same file are merged", night, r.Name, from[0])}
		}
		parts, from = append(parts, r), append(from, night)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return Report{}, err
	}
	unlock, err := lock(out)
	if err != nil {
		return Report{}, err
	}
	defer unlock()
	past, err := Past(out)
	if err != nil {
		return Report{}, err
	}
	merged := parts[0]
	merged.Shard, merged.Shards, merged.Lacking = 0, 0, nil
	for _, p := range parts[1:] {
		if p.Began.Before(merged.Began) {
			merged.Began = p.Began
		}
		if p.Ended.IsZero() || merged.Ended.IsZero() {
			merged.Ended = time.Time{}
		} else if p.Ended.After(merged.Ended) {
			merged.Ended = p.Ended
		}
		if p.Build != parts[0].Build {
			merged.Build = parts[0].Build + ", and others"
		}
	}
	unfinished := merged.Ended.IsZero()
	if unfinished { // what is not over now will not be
		merged.Ended = time.Now().UTC().Truncate(time.Second)
	}
	merged.ID = nextID(out, merged.Began)
	dir := filepath.Join(out, merged.ID)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return Report{}, err
	}
	found := map[string]Outcome{}
	for i, p := range parts {
		for _, o := range p.Outcomes {
			if had, ok := found[o.Cell]; ok && (had.Runs > 0 || o.Runs == 0) {
				continue
			}
			found[o.Cell] = o
			for _, f := range o.Failures {
				if err := copyRun(from[i], dir, keyOf(f.Cell, f.Run)); err != nil {
					return Report{}, err
				}
			}
		}
		if p.Ended.IsZero() {
			merged.Lacking = append(merged.Lacking, fmt.Sprintf("the night in %s is not over", from[i]))
		}
	}
	for shard := 1; shard <= parts[0].Shards; shard++ {
		if !slices.ContainsFunc(parts, func(r Report) bool { return r.Shard == shard && r.Shards == parts[0].Shards }) {
			merged.Lacking = append(merged.Lacking, fmt.Sprintf("shard %d of %d is not there", shard, parts[0].Shards))
		}
	}
	var all []Outcome
	for _, name := range merged.NamedCells {
		o, ok := found[name]
		if !ok {
			o = Outcome{Cell: name, Class: NotRun, Expect: ExpectValid, Says: "Not run: its shard is not there."}
		}
		all = append(all, o)
	}
	merged = merged.with(all, past)
	if err := write(dir, merged, past); err != nil {
		return merged, err
	}
	pointLatest(out, merged.ID)
	return merged, prune(out, merged.Keep, merged.Ended)
}

// newest is the folder of a night that a path means: itself, or the newest one in it.
func newest(dir string) string {
	if _, err := os.Stat(filepath.Join(dir, ReportFile)); err == nil {
		return dir
	}
	all, _ := filepath.Glob(filepath.Join(dir, "[0-9]*", ReportFile)) // a folder of an odd name holds none
	if len(all) == 0 {
		return ""
	}
	return filepath.Dir(slices.MaxFunc(all, func(a, b string) int { return cmp.Compare(filepath.Dir(a), filepath.Dir(b)) }))
}

// copyRun copies what is kept of a run. Links are left out: they may lead anywhere.
func copyRun(from, to, key string) error {
	at := filepath.Join(from, runsDir, key)
	err := filepath.WalkDir(at, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch target := filepath.Join(to, rel); {
		case d.IsDir():
			return os.MkdirAll(target, 0o755)
		case d.Type().IsRegular():
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(target, b, 0o644)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // it was removed because of its age
	}
	return err
}
