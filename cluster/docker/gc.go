package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
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

// Collect removes what dead runs left behind. Of coup's images it keeps the newest few,
// or none if everything is set. While any run of this machine is alive, all images stay:
// the run may have found its image and not used it yet.
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

// removeImages removes coup's images, except the newest keep ones and those that a
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
		// The engine has several errors for an image that somebody else has removed
		// meanwhile. All of them are fine.
		if _, gone := e.c.ImageInspect(ctx, img.ID); !errdefs.IsNotFound(gone) {
			errs = append(errs, ignoreGone(err))
		}
	}
	return removed, errors.Join(errs...)
}

// traces are the objects of a run on an engine.
type traces struct {
	lock    string    // its label
	newest  time.Time // when the last of them was made, by the engine's clock
	running bool      // whether a container runs
}

// abandonedAfter is far longer than a living run goes without a running container: it
// starts the first one within seconds, and its agents run to its end.
const abandonedAfter = time.Hour

// abandoned reports whether a run is dead, when its lock says nothing.
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
		t.lock = cmp.Or(labels[labelLock], t.lock)
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
	volumes, err := e.c.VolumeList(ctx, volume.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, v := range volumes.Volumes {
		run := runOfVolume(v)
		if run == "" {
			continue
		}
		made, err := time.Parse(time.RFC3339Nano, v.CreatedAt)
		if err != nil {
			return nil, fmt.Errorf("volume %s: %w", v.Name, err)
		}
		note(map[string]string{labelRun: run, labelLock: v.Labels[labelLock]}, made, false)
	}
	return all, nil
}

// runOfVolume returns the run that a volume belongs to, or "". Podman drops the labels of
// volumes that are made together with their container, so the name is looked at, too.
func runOfVolume(v *volume.Volume) string {
	if run := v.Labels[labelRun]; run != "" {
		return run
	}
	if m := volumeName.FindStringSubmatch(v.Name); m != nil {
		return m[1]
	}
	return ""
}

// volumeName matches the names of volumes of runs; package results names runs.
var volumeName = regexp.MustCompile(`^coup-(\d{8}-\d{6}-[0-9a-f]{6})-n\d+`)

// Left lists the labels of a run that still has something on the engine; nil if
// nothing of it is left.
func (e *Engine) Left(ctx context.Context, run string) []string {
	runs, err := e.runs(ctx)
	if err != nil {
		return []string{err.Error()}
	}
	if t, ok := runs[run]; ok {
		return []string{run + " " + t.lock}
	}
	return nil
}

func (e *Engine) remove(ctx context.Context, run string) error {
	_, err := e.removeRun(ctx, run)
	return err
}

// removeRun removes everything of a run: containers, then what they used.
func (e *Engine) removeRun(ctx context.Context, run string) (Removed, error) {
	var r Removed
	var errs []error
	ours := filters.NewArgs(filters.Arg("label", labelRun+"="+run))
	for attempt := range removeAttempts {
		removed, more, err := e.removeContainers(ctx, ours)
		r.Containers += removed
		if !more {
			break
		}
		if attempt == removeAttempts-1 || ctx.Err() != nil {
			errs = append(errs, err)
			break
		}
		if removed == 0 {
			time.Sleep(removePause)
		}
	}
	networks, err := e.c.NetworkList(ctx, network.ListOptions{Filters: ours})
	errs = append(errs, err)
	for _, n := range networks {
		err := ignoreGone(e.c.NetworkRemove(ctx, n.ID))
		if err == nil {
			r.Networks++
		}
		errs = append(errs, err)
	}
	volumes, err := e.c.VolumeList(ctx, volume.ListOptions{})
	errs = append(errs, err)
	for _, v := range volumes.Volumes {
		if runOfVolume(v) != run {
			continue
		}
		err := ignoreGone(e.c.VolumeRemove(ctx, v.Name, true))
		if err == nil {
			r.Volumes++
		}
		errs = append(errs, err)
	}
	return r, errors.Join(errs...)
}

// Podman removes a container only after those that share its namespaces, and has several
// errors for that. So containers that could not be removed are tried again when others
// are gone.
const (
	removeAttempts = 5
	removePause    = 200 * time.Millisecond
)

// removeContainers removes the containers that it can remove. It returns whether any are
// left, and why.
func (e *Engine) removeContainers(ctx context.Context, which filters.Args) (removed int, left bool, err error) {
	containers, err := e.c.ContainerList(ctx, container.ListOptions{All: true, Filters: which})
	if err != nil {
		return 0, true, err
	}
	var (
		mu   sync.Mutex
		errs []error
		wg   sync.WaitGroup
	)
	for _, c := range containers {
		wg.Go(func() {
			err := e.c.ContainerRemove(ctx, c.ID, container.RemoveOptions{Force: true, RemoveVolumes: true})
			mu.Lock()
			defer mu.Unlock()
			if err == nil || errdefs.IsNotFound(err) {
				removed++
				return
			}
			left = true
			errs = append(errs, ignoreGone(err)) // somebody else may be removing it
		})
	}
	wg.Wait()
	return removed, left, errors.Join(errs...)
}

// ignoreGone drops an error that says that an object is gone, or that somebody else is
// removing it.
func ignoreGone(err error) error {
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
		return nil
	}
	return err
}
