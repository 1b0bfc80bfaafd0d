package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
	"github.com/gofrs/flock"
)

// Every object that coup makes on an engine carries these labels.
const (
	labelRun   = "coup.run"   // the id of the run it belongs to
	labelLock  = "coup.lock"  // host:path of the file that the living run holds locked
	labelImage = "coup.image" // on images
)

func (c *Cluster) labels() map[string]string {
	return map[string]string{labelRun: c.cfg.Run, labelLock: c.lock.label()}
}

// runLock is a locked file that shows that a run is alive. The kernel lets go
// of the lock when the process ends, however it ends.
type runLock struct{ f *flock.Flock }

func lockDir() string { return filepath.Join(os.TempDir(), fmt.Sprintf("coup-%d", os.Getuid())) }

func lockRun(run string) (*runLock, error) {
	if err := os.MkdirAll(lockDir(), 0o700); err != nil {
		return nil, fmt.Errorf("mark the run as alive: %w", err)
	}
	f := flock.New(filepath.Join(lockDir(), run+".lock"))
	// Nobody else locks the file of this run but for the moment that it takes
	// to see whether it is alive.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if _, err := f.TryLockContext(ctx, 5*time.Millisecond); err != nil {
		return nil, fmt.Errorf("mark the run %s as alive: %w", run, err)
	}
	return &runLock{f}, nil
}

func (l *runLock) label() string {
	host, _ := os.Hostname() // an unknown host is a host like any other
	return host + ":" + l.f.Path()
}

func (l *runLock) release() error {
	return errors.Join(os.Remove(l.f.Path()), l.f.Unlock())
}

// isDead reports whether the run that made an object with this lock label is
// known to have ended. Of runs on other machines nothing is known.
func isDead(label string) bool {
	host, _ := os.Hostname()
	path, ok := strings.CutPrefix(label, host+":")
	if !ok {
		return false
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return true
	}
	f := flock.New(path)
	free, err := f.TryLock()
	if err != nil || !free {
		return false
	}
	os.Remove(path)
	f.Unlock()
	return true
}

// Removed counts what was removed from an engine.
type Removed struct{ Containers, Networks, Volumes, Images int }

func (r Removed) String() string {
	return fmt.Sprintf("%d containers, %d networks, %d volumes, %d images", r.Containers, r.Networks, r.Volumes, r.Images)
}

// keepImages is how many images stay: each build of coup makes one of its own.
const keepImages = 3

// Collect removes what dead runs left behind, and of coup's images all but the
// newest few; all of them if everything is set. Images stay while any run of
// this machine is alive: it may have found its image and not used it yet.
func (e *Engine) Collect(ctx context.Context, everything bool) (Removed, error) {
	var total Removed
	var errs []error
	runs, err := e.runs(ctx)
	if err != nil {
		return total, explain(err, e.c.DaemonHost())
	}
	alive := isAnyAlive()
	for run, lock := range runs {
		if !isDead(lock) {
			alive = true
			continue
		}
		r, err := e.removeRun(ctx, run)
		total.Containers += r.Containers
		total.Networks += r.Networks
		total.Volumes += r.Volumes
		errs = append(errs, err)
	}
	if !alive {
		keep := keepImages
		if everything {
			keep = 0
		}
		total.Images, err = e.removeImages(ctx, keep)
		errs = append(errs, err)
	}
	return total, errors.Join(errs...)
}

// removeImages removes coup's images but the newest keep, and those that a
// container uses.
func (e *Engine) removeImages(ctx context.Context, keep int) (removed int, err error) {
	images, err := e.c.ImageList(ctx, image.ListOptions{Filters: filters.NewArgs(filters.Arg("label", labelImage))})
	if err != nil {
		return 0, err
	}
	slices.SortFunc(images, func(a, b image.Summary) int { return cmp.Compare(b.Created, a.Created) })
	var errs []error
	for _, img := range images[min(keep, len(images)):] {
		_, err := e.c.ImageRemove(ctx, img.ID, image.RemoveOptions{PruneChildren: true})
		if err == nil {
			removed++
			continue
		}
		// The engine has several words for an image that somebody else has
		// removed meanwhile; that it is gone is what counts.
		if _, gone := e.c.ImageInspect(ctx, img.ID); !errdefs.IsNotFound(gone) {
			errs = append(errs, ignoreGone(err))
		}
	}
	return removed, errors.Join(errs...)
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

// runs returns the runs that have an object on the engine, with their locks.
func (e *Engine) runs(ctx context.Context) (map[string]string, error) {
	all := map[string]string{}
	note := func(labels map[string]string) { all[labels[labelRun]] = labels[labelLock] }
	ours := filters.NewArgs(filters.Arg("label", labelRun))
	containers, err := e.c.ContainerList(ctx, container.ListOptions{All: true, Filters: ours})
	if err != nil {
		return nil, err
	}
	for _, c := range containers {
		note(c.Labels)
	}
	networks, err := e.c.NetworkList(ctx, network.ListOptions{Filters: ours})
	if err != nil {
		return nil, err
	}
	for _, n := range networks {
		note(n.Labels)
	}
	volumes, err := e.c.VolumeList(ctx, volume.ListOptions{Filters: ours})
	if err != nil {
		return nil, err
	}
	for _, v := range volumes.Volumes {
		note(v.Labels)
	}
	return all, nil
}

func (e *Engine) remove(ctx context.Context, run string) error {
	_, err := e.removeRun(ctx, run)
	return err
}

// removeRun removes everything of a run: containers, then what they used.
func (e *Engine) removeRun(ctx context.Context, run string) (Removed, error) {
	var r Removed
	ours := filters.NewArgs(filters.Arg("label", labelRun+"="+run))
	containers, err := e.c.ContainerList(ctx, container.ListOptions{All: true, Filters: ours})
	if err != nil {
		return r, err
	}
	var (
		mu   sync.Mutex
		errs []error
		wg   sync.WaitGroup
	)
	for _, c := range containers {
		wg.Go(func() {
			err := ignoreGone(e.c.ContainerRemove(ctx, c.ID, container.RemoveOptions{Force: true, RemoveVolumes: true}))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				r.Containers++
			}
			errs = append(errs, err)
		})
	}
	wg.Wait()
	networks, err := e.c.NetworkList(ctx, network.ListOptions{Filters: ours})
	errs = append(errs, err)
	for _, n := range networks {
		err := ignoreGone(e.c.NetworkRemove(ctx, n.ID))
		if err == nil {
			r.Networks++
		}
		errs = append(errs, err)
	}
	volumes, err := e.c.VolumeList(ctx, volume.ListOptions{Filters: ours})
	errs = append(errs, err)
	for _, v := range volumes.Volumes {
		err := ignoreGone(e.c.VolumeRemove(ctx, v.Name, true))
		if err == nil {
			r.Volumes++
		}
		errs = append(errs, err)
	}
	return r, errors.Join(errs...)
}

// ignoreGone forgives that an object is gone or is being removed by somebody
// else already.
func ignoreGone(err error) error {
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
		return nil
	}
	return err
}
