package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"coup/cluster"
)

// Build builds an image from a directory by Docker's command line, which knows best what a
// Dockerfile may hold. It takes the engine that the command line takes, as coup does.
func Build(ctx context.Context, i cluster.LocalImage) error {
	if _, err := exec.LookPath("docker"); err != nil {
		return fmt.Errorf("the image %s is built by Docker's command line, and there is no docker in PATH", i.Reference)
	}
	dockerfile := i.Dockerfile
	if !filepath.IsAbs(dockerfile) {
		dockerfile = filepath.Join(i.Context, dockerfile)
	}
	args := []string{"build", "--tag", i.Reference, "--file", dockerfile}
	if i.Target != "" {
		args = append(args, "--target", i.Target)
	}
	for _, a := range i.Args {
		args = append(args, "--build-arg", a)
	}
	cmd := exec.CommandContext(ctx, "docker", append(args, i.Context)...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		lines := strings.Split(strings.TrimSpace(said.String()), "\n")
		return fmt.Errorf("the image %s could not be built from %s: %s", i.Reference, i.Context, strings.TrimSpace(lines[len(lines)-1]))
	}
	return err
}
