package raft

import (
	"context"
	"fmt"

	"coup/cluster"
	"coup/cluster/raftnode"
	"coup/harness"
)

var _ cluster.Storage = (*connection)(nil)

// WriteObject implements cluster.Storage.
func (c *connection) WriteObject(ctx context.Context, dir, name string, content []byte) error {
	_, err := c.write(ctx, raftnode.PathObjectWrite, raftnode.Request{Key: dir, Object: &raftnode.Object{Name: name, Content: content}})
	return err
}

// AppendObject implements cluster.Storage.
func (c *connection) AppendObject(ctx context.Context, dir, name string, content []byte) error {
	_, err := c.write(ctx, raftnode.PathObjectAppend, raftnode.Request{Key: dir, Object: &raftnode.Object{Name: name, Content: content}})
	return err
}

// RenameObject implements cluster.Storage.
func (c *connection) RenameObject(ctx context.Context, dir, from, to string) error {
	_, err := c.write(ctx, raftnode.PathObjectRename, raftnode.Request{Key: dir, Object: &raftnode.Object{Name: from, To: to}})
	return err
}

// ReadObject implements cluster.Storage.
func (c *connection) ReadObject(ctx context.Context, dir, name string) (content []byte, found bool, err error) {
	o, err := c.look(ctx, raftnode.PathObjectRead, raftnode.Request{Key: dir, Object: &raftnode.Object{Name: name}})
	return o.Content, o.Found, err
}

// ListObjects implements cluster.Storage.
func (c *connection) ListObjects(ctx context.Context, dir string) ([]string, error) {
	o, err := c.look(ctx, raftnode.PathObjectList, raftnode.Request{Key: dir})
	return o.Names, err
}

func (c *connection) look(ctx context.Context, path string, req raftnode.Request) (raftnode.Object, error) {
	resp, err := c.read(ctx, path, req)
	if err == nil && resp.Object == nil {
		err = fmt.Errorf("%w: %s answered a question about objects without one", harness.ErrFail, c.asked)
	}
	if err != nil {
		return raftnode.Object{}, err
	}
	return *resp.Object, nil
}
