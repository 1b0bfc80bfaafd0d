package docker

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"

	"coup/cluster"
)

// place sets the owners of the node's directories and writes the files that must be there
// before its start. The node is locked, and none of its containers runs. Files outside of
// the directories go into each container.
//
// The engine unpacks an archive into the volumes, which needs no shell in the image. But
// into a container with a read-only root, it unpacks only below a volume, and ignores the
// owner of the volume itself. So each node that needs files has one more container, which
// is never started.
func (c *Cluster) place(ctx context.Context, n *node) error {
	within, outside := n.pod, n.pod
	within.Files, outside.Files, outside.Data = nil, nil, nil
	for _, f := range n.pod.Files {
		if n.pod.DataOf(f.Path) != "" {
			within.Files = append(within.Files, f)
		} else {
			outside.Files = append(outside.Files, f)
		}
	}
	for _, p := range n.programs {
		if archive, err := archiveOf(outside, n.placed); err != nil {
			return err
		} else if archive != nil {
			if err := c.e.c.CopyToContainer(ctx, p.id, "/", archive, container.CopyToContainerOptions{}); err != nil {
				return fmt.Errorf("files of the container %s: %w", p.Name, err)
			}
		}
	}
	archive, err := archiveOf(within, n.placed)
	if err != nil || archive == nil {
		n.placed = n.placed || err == nil
		return err
	}
	if err := c.put(ctx, n, archive); err != nil {
		return err
	}
	n.placed = true
	return nil
}

// put unpacks an archive into the node's directories. The node is locked.
func (c *Cluster) put(ctx context.Context, n *node, archive io.Reader) error {
	if n.placer == "" {
		res, err := c.e.c.ContainerCreate(ctx,
			&container.Config{Image: c.Image, Labels: c.labels(), Entrypoint: []string{imagePath}, Cmd: []string{"sandbox"}},
			&container.HostConfig{NetworkMode: "none", Mounts: c.mounts(n, false)}, nil, nil, c.name(n, "-files"))
		if err != nil {
			return fmt.Errorf("files of the node: %w", err)
		}
		n.placer = res.ID
	}
	if err := c.e.c.CopyToContainer(ctx, n.placer, "/", archive, container.CopyToContainerOptions{}); err != nil {
		return fmt.Errorf("files of the node: %w", err)
	}
	return nil
}

// PutFiles implements cluster.Files. The files must be in the node's directories.
func (c *Cluster) PutFiles(ctx context.Context, name string, files []cluster.File) error {
	n, err := c.node(name)
	if err != nil {
		return err
	}
	for _, f := range files {
		if n.pod.DataOf(f.Path) == "" {
			return fmt.Errorf("the file %s is in none of the directories of %s", f.Path, name)
		}
	}
	archive, err := archiveOf(cluster.Pod{Data: n.pod.Data, Files: files}, true)
	if err != nil || archive == nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return c.put(ctx, n, archive)
}

// archiveOf is an archive of a pod's directories and files, or nil if there is nothing to
// write. again means that it is not the first start.
func archiveOf(pod cluster.Pod, again bool) (io.Reader, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	made := map[string]bool{}
	add := func(h tar.Header, content []byte) error {
		if made[h.Name] {
			return nil
		}
		made[h.Name] = true
		h.Size, h.ModTime = int64(len(content)), time.Unix(0, 0)
		if err := w.WriteHeader(&h); err != nil {
			return err
		}
		_, err := w.Write(content)
		return err
	}
	for _, d := range pod.Data {
		if again || d.UID == 0 && d.GID == 0 && d.Mode == 0 {
			continue
		}
		h := tar.Header{Typeflag: tar.TypeDir, Name: d.Path[1:] + "/", Uid: d.UID, Gid: d.GID, Mode: int64(cmp.Or(d.Mode, 0o755))}
		if err := add(h, nil); err != nil {
			return nil, err
		}
	}
	for _, f := range pod.Files {
		if f.Once && again {
			continue
		}
		var above []string
		if in := pod.DataOf(f.Path); in != "" { // elsewhere, the engine makes those that lack
			for dir := path.Dir(f.Path); dir != in; dir = path.Dir(dir) {
				above = append(above, dir)
			}
		}
		for _, dir := range slices.Backward(above) {
			if err := add(tar.Header{Typeflag: tar.TypeDir, Name: dir[1:] + "/", Uid: f.UID, Gid: f.GID, Mode: 0o755}, nil); err != nil {
				return nil, err
			}
		}
		h := tar.Header{Typeflag: tar.TypeReg, Name: f.Path[1:], Uid: f.UID, Gid: f.GID, Mode: int64(cmp.Or(f.Mode, 0o644))}
		if err := add(h, f.Content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil || len(made) == 0 {
		return nil, err
	}
	return &b, nil
}

// logEvery is how often a log file is looked at for what was added to it.
const logEvery = 100 * time.Millisecond

// followLogs reads the node's log files as they grow. The function that it returns reads
// them to their ends and stops. A file that gets shorter is read from its start again.
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
		if text := out.String(); info.ExitCode == 127 && strings.HasPrefix(text, "OCI runtime exec failed") {
			return nil, cluster.ErrNoProgram // the engine writes there what it has to say itself
		}
		said, _, _ := strings.Cut(strings.TrimSpace(errs.String()), "\n")
		return out.Bytes(), fmt.Errorf("%w with code %d: %s", cluster.ErrExec, info.ExitCode, said)
	}
	return out.Bytes(), nil
}
