package docker

import (
	"bytes"
	"context"
	"fmt"
	"io"

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
	info, err := e.c.ImageInspect(ctx, ref)
	switch {
	case err == nil:
		return info.ID, true, nil
	case errdefs.IsNotFound(err):
		return "", false, nil
	}
	return "", false, explain(err, e.c.DaemonHost())
}

// Import makes an image of a root file system, an archive in tar, and returns its id.
// changes are lines of a Dockerfile such as ENV and ENTRYPOINT.
func (e *Engine) Import(ctx context.Context, ref string, root io.Reader, message string, changes ...string) (id string, err error) {
	res, err := e.c.ImageImport(ctx, image.ImportSource{Source: root, SourceName: "-"}, ref, image.ImportOptions{Message: message, Changes: changes})
	if err != nil {
		return "", fmt.Errorf("make the image %s: %w", ref, explain(err, e.c.DaemonHost()))
	}
	defer res.Close()
	if out, err := io.ReadAll(res); err != nil || bytes.Contains(out, []byte(`"error"`)) {
		return "", fmt.Errorf("make the image %s: %s %w", ref, bytes.TrimSpace(out), err)
	}
	id, ok, err := e.Image(ctx, ref)
	if err == nil && !ok {
		err = fmt.Errorf("the engine took the image %s and has it not", ref)
	}
	return id, err
}
