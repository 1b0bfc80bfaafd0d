// Package docker runs clusters in containers. It is the only package that
// knows the Docker client.
//
// Start with [Connect], and bring a cluster up with [Up].
//
// A node is a pod of at least two containers. The first, the sandbox, runs coup's agent
// (package sandbox) and owns the network and process namespaces, the address and the
// published ports. It has two capabilities of the kernel: NET_ADMIN to cut links, and
// KILL to signal processes of other users. The other containers run the system under test
// and join both namespaces. They have only the capabilities that the system asks for, a
// root that is read-only unless the system asks for more, limits on memory and processes,
// and volumes that outlive them. So a node that is killed and started again keeps its
// address, its disk and its cuts.
//
// The image of the sandboxes and of the bundled node is made from coup's own static
// binary; nothing is pulled for it. Nothing is left behind: every object carries the
// labels of its run, the agents end when the harness does, and [Engine.Collect] removes
// what dead runs left.
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
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/client"

	"coup/cluster"
)

// Engine is a connection to a Docker engine. Safe for concurrent use.
type Engine struct {
	c *client.Client
	// Version is the version of the engine, API the one of the protocol.
	Version, API string
	arch         string
}

// connectPatience bounds how long an engine may take to answer for the first time.
const connectPatience = 30 * time.Second

// Connect finds the engine that the environment names (DOCKER_HOST, DOCKER_CONTEXT or
// the current Docker context; else the local socket). Its errors are of the kind
// cluster.ErrUnavailable and say what to do.
func Connect(ctx context.Context) (*Engine, error) {
	c, err := newClient()
	if err != nil {
		return nil, unavailable{err}
	}
	ctx, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	v, err := c.ServerVersion(ctx)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("the Docker engine at %s accepts connections and does not answer: start it anew", c.DaemonHost())
	case err != nil:
		err = explain(err, c.DaemonHost())
	case v.Os != "linux":
		err = fmt.Errorf("the Docker engine at %s runs %s containers, and coup needs linux", c.DaemonHost(), v.Os)
	}
	if err != nil {
		c.Close()
		return nil, unavailable{err}
	}
	return &Engine{c: c, Version: v.Version, API: c.ClientVersion(), arch: v.Arch}, nil
}

// unavailable is an error of the kind cluster.ErrUnavailable.
type unavailable struct{ error }

func (u unavailable) Unwrap() []error { return []error{cluster.ErrUnavailable, u.error} }

// Close ends the connection.
func (e *Engine) Close() error { return e.c.Close() }

// explain turns the engine's errors into one line that says what to do.
func explain(err error, host string) error {
	s := err.Error()
	start := "systemctl start docker, or make engine, which also installs one"
	if runtime.GOOS != "linux" {
		start = "Docker Desktop, Colima or Podman"
	}
	switch {
	case outOfFiles(err) || client.IsErrConnectionFailed(err) && outOfFiles(dialSocket(host)):
		return errFiles
	case client.IsErrConnectionFailed(err) && strings.Contains(s, "permission denied"): // the engine may speak of other permissions
		return fmt.Errorf("no permission to use the Docker engine at %s: run as root, or join the group docker and log in again", host)
	case client.IsErrConnectionFailed(err) && (strings.Contains(s, "Cannot connect") || strings.Contains(s, "connection refused") || strings.HasPrefix(host, "npipe:")):
		return fmt.Errorf("no Docker engine answers at %s: start it (%s), or name another one in DOCKER_HOST", host, start)
	case client.IsErrConnectionFailed(err):
		return fmt.Errorf("the Docker engine at %s can't be reached: %s", host, strings.Join(strings.Fields(s), " "))
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

// dialSocket returns why the engine's socket can't be connected to, which the client's
// own error does not say.
func dialSocket(host string) error {
	path, is := strings.CutPrefix(host, "unix://")
	if !is {
		return nil
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		return err
	}
	return c.Close()
}

// imagePath is where the image holds coup's binary.
const imagePath = "/coup"

// ensureImage returns the id of the image that holds nothing but the program at path. It
// makes the image if the engine doesn't have it yet.
func (e *Engine) ensureImage(ctx context.Context, path string) (id string, err error) {
	if path == "" {
		if path, err = nodeProgram(e.arch); err != nil {
			return "", err
		}
	}
	binary, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("the program of the nodes: %w", err)
	}
	if err := isStatic(bytes.NewReader(binary)); err != nil {
		return "", unavailable{fmt.Errorf("%s %w", path, err)}
	}
	sum := sha256.Sum256(binary)
	ref := "coup:" + hex.EncodeToString(sum[:8])
	if id, ok, err := e.image(ctx, ref); ok || err != nil {
		return id, err
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
	if id, err = e.makeImage(ctx, ref, pr, "made from coup's own binary", "LABEL "+labelImage+"=1"); err != nil {
		err = fmt.Errorf("make the image: %w", err)
	}
	return id, err
}

// nodeProgram returns the path of coup's program for nodes on linux/arch: coup's own
// binary if it fits, else the one that the build has put beside it.
func nodeProgram(arch string) (string, error) {
	self, err := os.Executable()
	if err == nil {
		self, err = filepath.EvalSymlinks(self)
	}
	if err != nil {
		return "", fmt.Errorf("coup's own program: %w", err)
	}
	name := "coup-linux-" + arch
	what := fmt.Sprintf("is for %s/%s: make linux ARCH=%s builds one for linux/%s, whose place is beside it as %s", runtime.GOOS, runtime.GOARCH, arch, arch, name)
	if runtime.GOOS == "linux" && runtime.GOARCH == arch {
		f, err := os.Open(self)
		if err != nil {
			return "", fmt.Errorf("coup's own program: %w", err)
		}
		defer f.Close()
		if err = isStatic(f); err == nil {
			return self, nil
		}
		what = err.Error() + ": build it with CGO_ENABLED=0, or with make build"
	}
	beside := filepath.Join(filepath.Dir(self), name)
	if _, err := os.Stat(beside); err == nil {
		return beside, nil
	}
	return "", unavailable{fmt.Errorf("nodes in containers run coup's own program, and %s %s", self, what)}
}

// isStatic fails for a file that is no program for Linux, or needs a dynamic linker,
// which the image does not have.
func isStatic(program io.ReaderAt) error {
	f, err := elf.NewFile(program)
	if err != nil {
		return errors.New("is no program of Linux")
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("is linked dynamically")
		}
	}
	return nil
}

var errFiles = errors.New("too many open files: raise this shell's limit (ulimit -n 4096)")

// outOfFiles reports whether err means that this process may not open more files.
func outOfFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || err != nil && strings.Contains(err.Error(), "too many open files")
}
