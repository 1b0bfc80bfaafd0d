package docker

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"time"

	"coup/cluster/capture"
)

// Capture says what to do with the packets of nodes.
type Capture struct {
	Dir   string    // where each node's file is made
	Bound int64     // of a file, in bytes
	Epoch time.Time // what this machine's clock showed at the start of the run
}

// captureDir is where an agent keeps packets while the cluster runs. It is a volume: on the
// engine's disk, not in the agent's memory.
const captureDir = "/capture"

// startCapture has the agent of a node keep packets, if that is wanted.
func (c *Cluster) startCapture(ctx context.Context, n *node) error {
	if c.cfg.Capture == nil {
		return nil
	}
	ahead, accuracy, err := n.agent.Capture(ctx, captureDir, c.cfg.Capture.Bound)
	if err == nil && ahead.Abs() > accuracy+time.Millisecond { // an engine in a virtual machine has a clock of its own
		n.ahead = ahead
	}
	return err
}

// Captured implements cluster.Capturing. What is wrong with one node's packets is told in its
// file's entry.
func (c *Cluster) Captured(ctx context.Context) (*capture.Set, error) {
	if c.cfg.Capture == nil || len(c.nodes) == 0 {
		return nil, nil
	}
	set := &capture.Set{
		Epoch: c.cfg.Capture.Epoch.Add(c.nodes[0].ahead), Clients: c.nodes[0].gateway, Bound: int(c.cfg.Capture.Bound >> 20), Files: make([]capture.File, len(c.nodes)),
	}
	if err := os.MkdirAll(c.cfg.Capture.Dir, 0o755); err != nil {
		return set, err
	}
	names := []string{set.Clients, capture.Clients}
	for _, n := range c.nodes {
		names = append(names, n.Host, n.Name)
	}
	err := c.each(ctx, c.nodes, func(ctx context.Context, n *node) error {
		for i := range c.nodes {
			if c.nodes[i] == n {
				set.Files[i] = c.collect(ctx, n, set, capture.Named(names...))
			}
		}
		return nil
	})
	return set, err
}

// collect ends the capture of a node and makes its file.
func (c *Cluster) collect(ctx context.Context, n *node, set *capture.Set, names []capture.Name) capture.File {
	file := capture.File{Node: n.Name, Name: capture.Dir + "/" + n.Name + ".pcapng", Address: n.Host}
	taken, err := n.agent.Captured(ctx)
	if err != nil {
		file.Failed = err.Error()
		return file
	}
	kept := taken.Kept
	file.Packets, file.Forgotten, file.Missed, file.Failed = kept.Packets, kept.Forgotten, taken.Missed, taken.Failed
	if kept.Packets > 0 {
		file.From, file.To = time.Unix(0, kept.First).Sub(set.Epoch), time.Unix(0, kept.Last).Sub(set.Epoch)
	}
	head := capture.Head{
		Comment: set.About(n.Name) + " They are seen before the packet filter that cuts links: what a cut between nodes drops has a comment.",
		Interfaces: []capture.Interface{
			{Name: n.Name, Description: fmt.Sprintf("the network card of %s, which has the address %s", n.Name, n.Host)},
			{Name: n.Name + " lo", Description: fmt.Sprintf("what programs within %s say to each other", n.Name)},
		},
		Names: names,
	}
	file.Size, err = capture.Create(filepath.Join(c.cfg.Capture.Dir, n.Name+".pcapng"), func(w io.Writer) error {
		return head.Write(w, kept.Segments, func(segment string) (io.ReadCloser, error) { return c.copyOut(ctx, n, path.Join(captureDir, segment)) },
			kept.Last, kept.Packets+kept.Forgotten+taken.Missed, taken.Missed)
	})
	if err != nil && file.Failed == "" {
		file.Failed = err.Error()
	}
	return file
}

// copyOut reads a file of a node's sandbox.
func (c *Cluster) copyOut(ctx context.Context, n *node, name string) (io.ReadCloser, error) {
	packed, _, err := c.e.c.CopyFromContainer(ctx, n.sandbox, name)
	if err != nil {
		return nil, err
	}
	files := tar.NewReader(packed)
	if _, err := files.Next(); err != nil {
		packed.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return struct {
		io.Reader
		io.Closer
	}{files, packed}, nil
}
