package images

import (
	"context"
	"errors"
	"fmt"
)

// ErrTool is wrapped by errors that mean: the recipe can't be carried out on this machine,
// because a command that it needs is missing.
var ErrTool = errors.New("a command is missing")

// missing is an error that wraps ErrTool and says more itself.
type missing string

func (m missing) Error() string { return string(m) }
func (missing) Unwrap() error   { return ErrTool }

// Puller is an engine that can pull images from registries.
type Puller interface {
	Engine
	// Pull pulls an image and returns its id. progress is told what goes on.
	Pull(ctx context.Context, ref string, progress func(line string)) (id string, err error)
}

// Image is an image on an engine.
type Image struct {
	Reference string
	ID        string
	How       string // where it is from, and how long that took
}

// Obtain returns the image of a recipe on the engine: the one that was built of it; or
// else the project's own, if it was pulled before; or else one that it builds. Where the
// recipe can't be carried out it pulls the project's own.
func Obtain(ctx context.Context, e Puller, r Recipe, o Options) (Image, error) {
	o.Arch = e.Arch()
	resolved, unable := Resolve(ctx, r, o)
	if unable != nil && !errors.Is(unable, ErrTool) {
		return Image{}, unable
	}
	if unable == nil {
		ref := resolved.Reference()
		if id, ok, err := e.Image(ctx, ref); err != nil || ok {
			return Image{ref, id, "the engine had " + ref}, err
		}
	}
	if r.Official != "" {
		if id, ok, err := e.Image(ctx, r.Official); err != nil || ok {
			return Image{r.Official, id, "the engine had the project's own image " + r.Official}, err
		}
	}
	if unable == nil {
		id, how, err := Ensure(ctx, e, resolved, o)
		if !errors.Is(err, ErrTool) {
			return Image{resolved.Reference(), id, how}, err
		}
		unable = err
	}
	if r.Official == "" {
		return Image{}, unable
	}
	o.say("%v: the project's own image is taken", unable)
	i, err := Pull(ctx, e, r, o)
	if err != nil {
		err = fmt.Errorf("%w; and %w", unable, err)
	}
	return i, err
}

// Pull pulls the project's own image of a recipe's release.
func Pull(ctx context.Context, e Puller, r Recipe, o Options) (Image, error) {
	if r.Official == "" {
		return Image{}, fmt.Errorf("no image of the project's own is known for %s: build it (coup image build), or name one with --image REF", r)
	}
	o.say("pulling %s", r.Official)
	id, err := e.Pull(ctx, r.Official, func(line string) { o.say("%s", line) })
	if err != nil {
		return Image{}, fmt.Errorf("the image %s can't be pulled: %w", r.Official, err)
	}
	return Image{r.Official, id, "pulled the project's own image " + r.Official}, nil
}
