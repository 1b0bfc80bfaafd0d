// Package docker runs clusters in containers. It is the only package that
// knows the Docker client.
//
// A node is a pod of two containers. The first, the sandbox, runs coup's agent
// (package sandbox) and owns the network and process namespaces, the address
// and the published ports; it alone has a capability, NET_ADMIN. The second
// runs the system under test and joins both namespaces: with every capability
// dropped, a read-only root, limits on memory and processes, and a volume that
// outlives it. So a node that is killed and started again keeps its address,
// its disk and its cuts.
//
// Nothing is pulled: the image is made from coup's own static binary. Nothing
// is left: every object carries the labels of its run, the agents end when
// the harness does, and [Collect] removes what dead runs left behind.
package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"

	"coup/cluster"
)

// Engine is a connection to a Docker engine. Safe for concurrent use.
type Engine struct {
	c *client.Client
	// Version is the engine's, API the version both sides agreed on.
	Version, API string
	arch         string
}

// Connect finds the engine that the environment names (DOCKER_HOST and the
// like; else the local socket). Its errors wrap cluster.ErrUnavailable and say
// what to do.
func Connect(ctx context.Context) (*Engine, error) {
	c, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		return nil, fmt.Errorf("%w: docker: %w", cluster.ErrUnavailable, err)
	}
	v, err := c.ServerVersion(ctx)
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("%w: %w", cluster.ErrUnavailable, explain(err, c.DaemonHost()))
	}
	if v.Os != "linux" {
		c.Close()
		return nil, fmt.Errorf("%w: the Docker engine runs %s containers; coup needs linux", cluster.ErrUnavailable, v.Os)
	}
	return &Engine{c: c, Version: v.Version, API: c.ClientVersion(), arch: v.Arch}, nil
}

// Close ends the connection.
func (e *Engine) Close() error { return e.c.Close() }

// explain turns the engine's errors into one line that says what to do.
func explain(err error, host string) error {
	s := err.Error()
	switch {
	case errors.Is(err, os.ErrPermission) || strings.Contains(s, "permission denied"):
		return fmt.Errorf("no permission to use the Docker engine at %s: run as root or join the group docker", host)
	case client.IsErrConnectionFailed(err):
		return fmt.Errorf("no Docker engine answers at %s: start it (systemctl start docker), or name another one in DOCKER_HOST", host)
	case strings.Contains(s, "no space left on device"):
		return fmt.Errorf("the Docker engine's disk is full: free some space (docker system df shows what uses it): %w", err)
	case strings.Contains(s, "port is already allocated") || strings.Contains(s, "address already in use"):
		return fmt.Errorf("a port on 127.0.0.1 was taken while the node started, try again: %w", err)
	case errdefs.IsConflict(err):
		return fmt.Errorf("a container of that name exists already (coup gc removes what dead runs left): %w", err)
	case strings.Contains(s, "could not find an available, non-overlapping IPv4 address pool") || strings.Contains(s, "all predefined address pools have been fully subnetted"):
		return fmt.Errorf("the Docker engine has no network address left: remove unused networks (docker network prune): %w", err)
	}
	return err
}

// imagePath is where the image holds coup's binary.
const imagePath = "/coup"

// ensureImage returns the id of the image that holds nothing but the program
// at path, and makes it if the engine doesn't have it yet.
func (e *Engine) ensureImage(ctx context.Context, path string) (id string, err error) {
	if runtime.GOOS != "linux" || runtime.GOARCH != e.arch {
		return "", fmt.Errorf("%w: the containers run coup's own binary, which is for %s/%s, but the engine's are linux/%s",
			cluster.ErrUnavailable, runtime.GOOS, runtime.GOARCH, e.arch)
	}
	if path == "" {
		if path, err = os.Executable(); err != nil {
			return "", fmt.Errorf("coup's own binary: %w", err)
		}
	}
	binary, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("coup's own binary: %w", err)
	}
	if err := isStatic(binary); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	sum := sha256.Sum256(binary)
	ref := "coup:" + hex.EncodeToString(sum[:8])
	if info, err := e.c.ImageInspect(ctx, ref); err == nil {
		return info.ID, nil
	} else if !errdefs.IsNotFound(err) {
		return "", err
	}
	pr, pw := io.Pipe()
	go func() {
		tw := tar.NewWriter(pw)
		err := tw.WriteHeader(&tar.Header{Name: imagePath[1:], Mode: 0o755, Size: int64(len(binary))})
		if err == nil {
			_, err = tw.Write(binary)
		}
		if err == nil {
			err = tw.Close()
		}
		pw.CloseWithError(err)
	}()
	res, err := e.c.ImageImport(ctx, image.ImportSource{Source: pr, SourceName: "-"}, ref, image.ImportOptions{
		Message: "made from coup's own binary",
		Changes: []string{"LABEL " + labelImage + "=1"},
	})
	if err != nil {
		return "", fmt.Errorf("make the image: %w", err)
	}
	defer res.Close()
	if out, err := io.ReadAll(res); err != nil || bytes.Contains(out, []byte(`"error"`)) {
		return "", fmt.Errorf("make the image: %s %w", bytes.TrimSpace(out), err)
	}
	info, err := e.c.ImageInspect(ctx, ref)
	return info.ID, err
}

// isStatic fails for a program that wants a dynamic linker, which the image
// does not have.
func isStatic(binary []byte) error {
	f, err := elf.NewFile(bytes.NewReader(binary))
	if err != nil {
		return err
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("coup must be linked statically to run in its containers: build it with CGO_ENABLED=0")
		}
	}
	return nil
}
