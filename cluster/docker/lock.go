package docker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// runLock is a locked file that shows that a run is alive. The kernel lets go
// of the lock when the process ends, however it ends.
type runLock struct {
	f     *flock.Flock
	label string // tells where the file is
}

func lockDir() string { return filepath.Join(os.TempDir(), fmt.Sprintf("coup-%d", os.Getuid())) }

func lockFile(run string) string { return filepath.Join(lockDir(), run+".lock") }

// lockPlace names the directory of the locks: the host, and a random name that is kept in
// the directory. Processes may share an engine and a host name, but have a /tmp each.
// Then a lock that is missing here says nothing.
func lockPlace() (string, error) {
	file := filepath.Join(lockDir(), "place")
	name, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		// If several processes do this at once, the first to link wins.
		draft := file + "." + rand.Text()
		if err := os.WriteFile(draft, []byte(rand.Text()), 0o600); err != nil {
			return "", err
		}
		defer os.Remove(draft)
		if err := os.Link(draft, file); err != nil && !errors.Is(err, os.ErrExist) {
			return "", err
		}
		name, err = os.ReadFile(file)
	}
	if err != nil {
		return "", err
	}
	host, _ := os.Hostname() // an unknown host is a host like any other
	return host + ":" + string(name), nil
}

// lockRun marks a run as alive until release, or the end of this process.
func lockRun(run string) (*runLock, error) {
	if err := os.MkdirAll(lockDir(), 0o700); err != nil {
		return nil, fmt.Errorf("mark the run as alive: %w", err)
	}
	place, err := lockPlace()
	if err != nil {
		return nil, fmt.Errorf("mark the run as alive: %w", err)
	}
	f := flock.New(lockFile(run))
	// Other processes lock the file of this run only for the moment that it takes to see
	// whether the run is alive.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if _, err := f.TryLockContext(ctx, 5*time.Millisecond); err != nil {
		return nil, fmt.Errorf("mark the run %s as alive: %w", run, err)
	}
	return &runLock{f, place}, nil
}

func (l *runLock) release() error { return drop(l.f) }

// drop removes the file of a lock that this process holds, and then releases the lock. In
// this order, nobody else locks a file that is about to be removed. Windows removes no
// open file; a file that stays and is not locked does no harm.
func drop(f *flock.Flock) error {
	if runtime.GOOS == "windows" {
		err := f.Unlock()
		os.Remove(f.Path())
		return err
	}
	return errors.Join(os.Remove(f.Path()), f.Unlock())
}

// life is what is known of a run.
type life int

const (
	unknown life = iota // this process can't see its lock
	alive
	dead
)

// lifeOf tells whether the run with this lock label is alive.
func lifeOf(run, label string) life {
	place, err := lockPlace()
	if err != nil || label != place || strings.ContainsRune(run, filepath.Separator) {
		return unknown
	}
	path := lockFile(run)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return dead
	}
	f := flock.New(path)
	switch free, err := f.TryLock(); {
	case err != nil:
		return unknown
	case !free:
		return alive
	}
	drop(f) // another process may have done that
	return dead
}

// isAnyAlive reports whether a run of this user on this machine is alive.
func isAnyAlive() bool {
	locks, _ := filepath.Glob(filepath.Join(lockDir(), "*.lock")) // the pattern is well formed
	for _, path := range locks {
		f := flock.New(path)
		free, err := f.TryLock()
		if err != nil || !free {
			return true
		}
		f.Unlock()
	}
	return false
}
