package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
)

// Arch is the processor of the engine's machine, as Go calls it.
func (e *Engine) Arch() string { return e.arch }

// Labelled returns the images that carry a label: its value of each, by reference.
func (e *Engine) Labelled(ctx context.Context, label string) (map[string]string, error) {
	all, err := e.c.ImageList(ctx, image.ListOptions{Filters: filters.NewArgs(filters.Arg("label", label))})
	if err != nil {
		return nil, explain(err, e.c.DaemonHost())
	}
	values := map[string]string{}
	for _, img := range all {
		for _, ref := range img.RepoTags {
			values[ref] = img.Labels[label]
		}
	}
	return values, nil
}

// Image returns the id of an image; ok is false if the engine lacks it.
func (e *Engine) Image(ctx context.Context, ref string) (id string, ok bool, err error) {
	if id, ok, err = e.image(ctx, ref); err != nil {
		err = explain(err, e.c.DaemonHost())
	}
	return id, ok, err
}

// image is Image with the engine's own error.
func (e *Engine) image(ctx context.Context, ref string) (id string, ok bool, err error) {
	info, err := e.c.ImageInspect(ctx, ref)
	switch {
	case err == nil:
		return info.ID, true, nil
	case errdefs.IsNotFound(err):
		return "", false, nil
	}
	return "", false, err
}

// Pull pulls an image by its tag, with the engine's own credentials for registries, which
// are none, and returns its id. progress is told what goes on.
func (e *Engine) Pull(ctx context.Context, ref string, progress func(line string)) (id string, err error) {
	res, err := e.c.ImagePull(ctx, ref, image.PullOptions{})
	if err != nil {
		return "", explain(err, e.c.DaemonHost())
	}
	defer res.Close()
	for lines := json.NewDecoder(res); ; {
		var said struct{ ID, Status, Error string }
		switch err := lines.Decode(&said); {
		case err == io.EOF:
			id, ok, err := e.Image(ctx, ref)
			if err == nil && !ok {
				err = errors.New("the engine pulled it and does not have it")
			}
			return id, err
		case err != nil:
			return "", err
		case said.Error != "":
			return "", errors.New(said.Error)
		case said.ID == "" || said.Status == "Pull complete": // and not each step of each layer
			progress(strings.TrimSpace(said.ID + " " + said.Status))
		}
	}
}

// Import makes an image of a root file system, an archive in tar, and returns its id.
// changes are lines of a Dockerfile such as ENV and ENTRYPOINT.
func (e *Engine) Import(ctx context.Context, ref string, root io.Reader, message string, changes ...string) (id string, err error) {
	if id, err = e.makeImage(ctx, ref, root, message, changes...); err != nil {
		err = fmt.Errorf("make the image %s: %w", ref, explain(err, e.c.DaemonHost()))
	}
	return id, err
}

// makeImage is Import with the engine's own error.
func (e *Engine) makeImage(ctx context.Context, ref string, root io.Reader, message string, changes ...string) (id string, err error) {
	res, err := e.c.ImageImport(ctx, image.ImportSource{Source: root, SourceName: "-"}, ref, image.ImportOptions{Message: message, Changes: changes})
	if err != nil {
		return "", err
	}
	defer res.Close()
	out, err := io.ReadAll(res)
	if err == nil && bytes.Contains(out, []byte(`"error"`)) {
		err = errors.New("the engine refused it")
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", bytes.TrimSpace(out), err)
	}
	id, ok, err := e.image(ctx, ref)
	if err == nil && !ok {
		err = errors.New("the engine took it and does not have it")
	}
	return id, err
}
