package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"

	"coup/cluster"
)

// place gives the node's directories to their owners and writes the files that are to
// be there before its start. The node is locked, and nothing of it runs. Files get in by
// an archive that the engine unpacks into the volumes: that needs no shell in the
// image, and works with a root that is read-only.
func (c *Cluster) place(ctx context.Context, n *node) error {
	for _, d := range n.pod.Data {
		archive, err := archiveOf(n.pod, d, n.placed)
		if err != nil {
			return err
		}
		if archive == nil {
			continue
		}
		if err := c.e.c.CopyToContainer(ctx, n.programs[0].id, d.Path, archive, container.CopyToContainerOptions{}); err != nil {
			return fmt.Errorf("files in %s: %w", d.Path, err)
		}
	}
	n.placed = true
	return nil
}

// archiveOf is an archive of the files in a directory for data, or nil if there is nothing
// to do in it. Again says that it is not the first start.
func archiveOf(pod cluster.Pod, d cluster.Dir, again bool) (io.Reader, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	made := map[string]bool{}
	directory := func(name string, uid, gid int, mode fs.FileMode) error {
		if made[name] {
			return nil
		}
		made[name] = true
		return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Uid: uid, Gid: gid, Mode: int64(mode), ModTime: time.Unix(0, 0)})
	}
	if !again && (d.UID != 0 || d.GID != 0 || d.Mode != 0) {
		mode := d.Mode
		if mode == 0 {
			mode = 0o755
		}
		if err := directory(".", d.UID, d.GID, mode); err != nil {
			return nil, err
		}
	}
	for _, f := range pod.Files {
		if pod.DataOf(f.Path) != d.Path || f.Once && again {
			continue
		}
		name := strings.TrimPrefix(f.Path, d.Path+"/")
		var above []string
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			above = append([]string{dir}, above...)
		}
		for _, dir := range above {
			if err := directory(dir, f.UID, f.GID, 0o755); err != nil {
				return nil, err
			}
		}
		mode := f.Mode
		if mode == 0 {
			mode = 0o644
		}
		err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(f.Content)), Uid: f.UID, Gid: f.GID, Mode: int64(mode), ModTime: time.Unix(0, 0)})
		if err == nil {
			_, err = w.Write(f.Content)
		}
		if err != nil {
			return nil, err
		}
		made[name] = true
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if len(made) == 0 {
		return nil, nil
	}
	return &b, nil
}

// logEvery is how often a log file is looked at for what was added to it.
const logEvery = 100 * time.Millisecond

// followLogs reads the node's log files as they grow, until what it returns is called,
// which reads them to their ends. A file that gets shorter was begun anew.
func (c *Cluster) followLogs(n *node) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		out := make([]*lines, len(n.pod.Logs))
		offsets := make([]int64, len(n.pod.Logs))
		for i := range out {
			out[i] = &lines{emit: func(line []byte) { c.cfg.Output(n.Name, line) }}
		}
		look := func() {
			for i, name := range n.pod.Logs {
				for {
					bounded, end := context.WithTimeout(context.Background(), 5*time.Second)
					content, size, err := n.agent.Read(bounded, name, offsets[i])
					end()
					if err != nil { // it is not there yet, or the agent is gone
						break
					}
					if size < offsets[i] {
						offsets[i] = 0
						continue
					}
					offsets[i] += int64(len(content))
					out[i].Write(content)
					if len(content) == 0 {
						break
					}
				}
			}
		}
		tick := time.NewTicker(logEvery)
		defer tick.Stop()
		for ctx.Err() == nil {
			look()
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
		look()
		for _, l := range out {
			l.flush()
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// exec runs a command in a container and returns all that it wrote.
func (e *Engine) exec(ctx context.Context, id string, argv []string) ([]byte, error) {
	made, err := e.c.ContainerExecCreate(ctx, id, container.ExecOptions{Cmd: argv, AttachStdout: true, AttachStderr: true})
	if err != nil {
		return nil, err
	}
	attached, err := e.c.ContainerExecAttach(ctx, made.ID, container.ExecAttachOptions{})
	if err != nil {
		return nil, err
	}
	defer attached.Close()
	stop := context.AfterFunc(ctx, attached.Close)
	defer stop()
	var out, errs bytes.Buffer
	_, err = stdcopy.StdCopy(&out, &errs, attached.Reader)
	if ctx.Err() != nil {
		return out.Bytes(), ctx.Err()
	}
	if err != nil {
		return out.Bytes(), err
	}
	info, err := e.c.ContainerExecInspect(ctx, made.ID)
	if err != nil {
		return out.Bytes(), err
	}
	if info.ExitCode != 0 {
		said, _, _ := strings.Cut(strings.TrimSpace(errs.String()), "\n")
		return out.Bytes(), fmt.Errorf("%w with code %d: %s", cluster.ErrExec, info.ExitCode, said)
	}
	return out.Bytes(), nil
}
