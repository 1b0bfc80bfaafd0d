package docker

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestLifeOfARun(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	lock, err := lockRun("mine")
	if err != nil {
		t.Fatal(err)
	}
	here := lock.label
	if got := lifeOf("mine", here); got != alive {
		t.Errorf("a run that holds its lock: %v", got)
	}
	if got := lifeOf("other", here); got != dead {
		t.Errorf("a run of this place without a lock: %v", got)
	}
	if got := lifeOf("../other", here); got != unknown {
		t.Errorf("a run whose name is a path: %v", got)
	}
	// A process that ended without a word leaves the file, but not the lock.
	if err := os.WriteFile(filepath.Join(lockDir(), "left.lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := lifeOf("left", here); got != dead {
		t.Errorf("a run whose lock nobody holds: %v", got)
	}
	if err := lock.release(); err != nil {
		t.Fatal(err)
	}
	if got := lifeOf("mine", here); got != dead {
		t.Errorf("a run that let go of its lock: %v", got)
	}

	// Somebody else on the same host has another /tmp.
	t.Setenv("TMPDIR", t.TempDir())
	if got := lifeOf("mine", here); got != unknown {
		t.Errorf("a run that has its lock in a directory not seen here: %v", got)
	}
	theirs, err := lockRun("mine")
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.release()
	if theirs.label == here {
		t.Error("two directories of locks have one name")
	}
	if got := lifeOf("mine", here); got != unknown {
		t.Errorf("a run whose lock is elsewhere: %v", got)
	}
}

func TestAbandoned(t *testing.T) {
	now := time.Now()
	for _, test := range []struct {
		traces
		want bool
	}{
		{traces{newest: now.Add(-2 * abandonedAfter)}, true},
		{traces{newest: now.Add(-2 * abandonedAfter), running: true}, false},
		{traces{newest: now.Add(-abandonedAfter / 2)}, false},
		{traces{newest: now.Add(time.Minute)}, false},
	} {
		if got := test.abandoned(now); got != test.want {
			t.Errorf("%+v: abandoned is %v", test.traces, got)
		}
	}
}
