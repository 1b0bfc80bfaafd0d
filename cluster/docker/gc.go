package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
)

// Every object that coup makes on an engine carries these labels.
const (
	labelRun   = "coup.run"   // the id of the run it belongs to
	labelLock  = "coup.lock"  // where the file is that the living run holds locked
	labelImage = "coup.image" // on images
)

func (c *Cluster) labels() map[string]string {
	return map[string]string{labelRun: c.cfg.Run, labelLock: c.lock.label}
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
	now, err := e.now(ctx)
	if err != nil {
		return total, explain(err, e.c.DaemonHost())
	}
	inUse := isAnyAlive()
	for run, t := range runs {
		switch lifeOf(run, t.lock) {
		case alive:
			inUse = true
			continue
		case unknown:
			if !t.abandoned(now) {
				inUse = true
				continue
			}
		}
		r, err := e.removeRun(ctx, run)
		total.Containers += r.Containers
		total.Networks += r.Networks
		total.Volumes += r.Volumes
		errs = append(errs, err)
	}
	if !inUse {
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

// traces are what a run has on an engine.
type traces struct {
	lock    string    // its label
	newest  time.Time // when the last of them was made, by the engine's clock
	running bool      // whether a container runs
}

// abandonedAfter is far longer than a living run is without a container that
// runs: it takes seconds to start the first, and its agents end with it.
const abandonedAfter = time.Hour

// abandoned says that the run is dead, of which nothing else is known.
func (t traces) abandoned(now time.Time) bool {
	return !t.running && now.Sub(t.newest) > abandonedAfter
}

// now is what the engine's clock shows.
func (e *Engine) now(ctx context.Context) (time.Time, error) {
	info, err := e.c.Info(ctx)
	if err != nil {
		return time.Time{}, err
	}
	return time.Parse(time.RFC3339Nano, info.SystemTime)
}

// runs returns the runs that have an object on the engine.
func (e *Engine) runs(ctx context.Context) (map[string]traces, error) {
	all := map[string]traces{}
	note := func(labels map[string]string, made time.Time, running bool) {
		t := all[labels[labelRun]]
		t.lock = labels[labelLock]
		t.running = t.running || running
		if made.After(t.newest) {
			t.newest = made
		}
		all[labels[labelRun]] = t
	}
	ours := filters.NewArgs(filters.Arg("label", labelRun))
	containers, err := e.c.ContainerList(ctx, container.ListOptions{All: true, Filters: ours})
	if err != nil {
		return nil, err
	}
	for _, c := range containers {
		note(c.Labels, time.Unix(c.Created, 0), c.State == container.StateRunning)
	}
	networks, err := e.c.NetworkList(ctx, network.ListOptions{Filters: ours})
	if err != nil {
		return nil, err
	}
	for _, n := range networks {
		note(n.Labels, n.Created, false)
	}
	volumes, err := e.c.VolumeList(ctx, volume.ListOptions{Filters: ours})
	if err != nil {
		return nil, err
	}
	for _, v := range volumes.Volumes {
		made, err := time.Parse(time.RFC3339Nano, v.CreatedAt)
		if err != nil {
			return nil, fmt.Errorf("volume %s: %w", v.Name, err)
		}
		note(v.Labels, made, false)
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
