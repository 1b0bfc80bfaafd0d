package docker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/docker/docker/api/types/container"
	"golang.org/x/sync/errgroup"
)

// StartBare starts n containers at once that run nothing but a process of the
// image made from binary, on the engine's default network, and returns how
// long it took until all of them ran. They are removed again.
func StartBare(ctx context.Context, binary string, n int) (time.Duration, error) {
	e, err := Connect(ctx)
	if err != nil {
		return 0, err
	}
	defer e.Close()
	image, err := e.ensureImage(ctx, binary)
	if err != nil {
		return 0, err
	}
	run := fmt.Sprintf("bare-%d", time.Now().UnixNano())
	lock, err := lockRun(run)
	if err != nil {
		return 0, err
	}
	defer lock.release()
	labels := map[string]string{labelRun: run, labelLock: lock.label}
	begun := time.Now()
	g, gctx := errgroup.WithContext(ctx)
	for range n {
		g.Go(func() error {
			res, err := e.c.ContainerCreate(gctx, &container.Config{
				Image: image, Labels: labels, Entrypoint: []string{imagePath}, Cmd: []string{"sandbox"}, OpenStdin: true,
			}, nil, nil, nil, "")
			if err != nil {
				return err
			}
			return e.c.ContainerStart(gctx, res.ID, container.StartOptions{})
		})
	}
	err = g.Wait()
	took := time.Since(begun)
	_, cleanErr := e.removeRun(ctx, run)
	return took, errors.Join(err, cleanErr)
}

// Signal sends a signal to the first process of a container behind the cluster's back.
func (c *Cluster) Signal(ctx context.Context, name, in, signal string) error {
	n, err := c.node(name)
	if err != nil {
		return err
	}
	for _, p := range n.programs {
		if p.Name == in {
			return c.e.c.ContainerKill(ctx, p.id, signal)
		}
	}
	return errors.New("no such container")
}
