package sandbox

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// procs lists the processes below a /proc, without the first one (the agent)
// and without those that have ended and only wait to be reaped.
func procs(root string) ([]Proc, error) {
	dirs, err := os.ReadDir(root)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var all []Proc
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil || pid == 1 {
			continue
		}
		name, state, err := stat(filepath.Join(root, d.Name(), "stat"))
		if err != nil || state == 'Z' || state == 'X' {
			continue // it ended while we looked
		}
		p := Proc{PID: pid, Name: name, Stopped: true}
		threads, _ := filepath.Glob(filepath.Join(root, d.Name(), "task", "*", "stat"))
		for _, t := range threads {
			if _, state, err := stat(t); err == nil && state != 'T' {
				p.Stopped = false
			}
		}
		all = append(all, p)
	}
	return all, nil
}

// stat reads the name and the state of a process or thread. The name stands in
// parentheses and may hold any byte, so the last one counts; proc(5).
func stat(path string) (name string, state byte, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", 0, err
	}
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open || end+2 >= len(b) {
		return "", 0, fmt.Errorf("%s: not a stat line", path)
	}
	return string(b[open+1 : end]), b[end+2], nil
}
