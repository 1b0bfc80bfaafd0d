package nightly

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// prune removes what is too old or too much from a folder of nights: runs that are older than
// failures may be, whole nights beyond their number, and the oldest runs until all of it is no
// larger than it may be. The newest night stays.
func prune(out string, k Keep, now time.Time) error {
	past, err := Past(out)
	if err != nil {
		return err
	}
	if err := dropUnfinished(out, past); err != nil {
		return err
	}
	for len(past) > max(1, k.Nights) {
		if err := os.RemoveAll(filepath.Join(out, past[0].ID)); err != nil {
			return err
		}
		past = past[1:]
	}
	size, err := sizeOf(out)
	if err != nil {
		return err
	}
	for i, r := range past {
		runs := filepath.Join(out, r.ID, runsDir)
		old := now.Sub(r.Began) > time.Duration(k.Failures)
		if i == len(past)-1 || !old && size <= int64(k.Size) {
			continue
		}
		its, err := sizeOf(runs)
		if err != nil {
			return err
		}
		if err := os.RemoveAll(runs); err != nil {
			return err
		}
		size -= its
	}
	return nil
}

// dropUnfinished removes nights that were given up: those that are not over, and older than one that is.
func dropUnfinished(out string, past []Report) error {
	begun, err := filepath.Glob(filepath.Join(out, "[0-9]*", BegunFile))
	for _, file := range begun {
		id := filepath.Base(filepath.Dir(file))
		over := slices.ContainsFunc(past, func(r Report) bool { return r.ID == id })
		if err == nil && !over && len(past) > 0 && id < past[len(past)-1].ID {
			err = os.RemoveAll(filepath.Dir(file))
		}
	}
	return err
}

// sizeOf is the size of all files below a folder; 0 if it is not there.
func sizeOf(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	if os.IsNotExist(err) {
		err = nil
	}
	return sum, err
}
