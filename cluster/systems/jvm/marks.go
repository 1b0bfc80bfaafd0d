package jvm

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"coup/cluster"
)

// MarksFile is where a job leaves its mark, on the node on which it runs: a line with its
// name. [Marked] makes the file.
const MarksFile = "/data/marks"

// Marked is the file of marks before any job has run.
func Marked() cluster.File { return cluster.File{Path: MarksFile, Once: true} }

// JobName is what a system calls a job.
func JobName(key string, job int64) string { return fmt.Sprintf("%s-%d", key, job) }

// JobOf is the job of a key that has this name; ok is false for one of another key.
func JobOf(key, name string) (job int64, ok bool) {
	number, found := strings.CutPrefix(name, key+"-")
	job, err := strconv.ParseInt(number, 10, 64)
	return job, found && err == nil
}

// Marks are how often each job of a key has left its mark on any of the nodes. It fails if
// one of them can't be asked.
func Marks(ctx context.Context, a cluster.Access, workers []cluster.Node, container, key string) (map[int64]int, error) {
	texts, errs := make([][]byte, len(workers)), make([]error, len(workers))
	var all sync.WaitGroup
	for i, n := range workers {
		all.Go(func() { texts[i], errs[i] = a.Exec(ctx, n.Name, container, "cat", MarksFile) })
	}
	all.Wait()
	marks := map[int64]int{}
	for i, text := range texts {
		if errs[i] != nil {
			return nil, fmt.Errorf("the marks on %s: %w", workers[i].Name, errs[i])
		}
		for line := range strings.Lines(string(text)) {
			if job, ok := JobOf(key, strings.TrimSpace(line)); ok {
				marks[job]++
			}
		}
	}
	return marks, nil
}

// Seen are jobs by their marks and by what the system says of those that it knows.
func Seen(marks map[int64]int, states map[int64]string, busy int) cluster.JobsSeen {
	seen := cluster.JobsSeen{Jobs: map[int64]cluster.JobSeen{}, Busy: busy}
	for job, n := range marks {
		seen.Jobs[job] = cluster.JobSeen{Effects: n}
	}
	for job, state := range states {
		seen.Jobs[job] = cluster.JobSeen{State: state, Effects: marks[job]}
	}
	return seen
}
