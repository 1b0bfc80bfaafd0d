package hdfs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"coup/cluster"
	"coup/cluster/systems/jvm"
	"coup/harness"
)

// connection is a client of WebHDFS that knows all name nodes, and asks the one that is active. It
// never sends a request twice.
type connection struct {
	jvm.Client
	http    http.Client
	made    map[string]bool // directories
	written int             // objects that were begun
}

var _ cluster.Storage = (*connection)(nil)

// Open implements cluster.System.
func (System) Open(a cluster.Access, node string, o cluster.Options) (cluster.Conn, error) {
	c := &connection{Client: names.Client(a, node, o), made: map[string]bool{}}
	c.http.Transport = &http.Transport{DialContext: func(ctx context.Context, _, address string) (net.Conn, error) { return a.DialAddress(ctx, address) }}
	return c, nil
}

// Close implements cluster.Conn.
func (c *connection) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// refusal is what HDFS says when it did not do what it was asked: an exception, by its name.
type refusal struct{ name, message string }

func (r *refusal) Error() string { return r.name + ": " + r.message }

func is(err error, names ...string) bool {
	var r *refusal
	return errors.As(err, &r) && slices.Contains(names, r.name)
}

// did turns the exceptions into harness.ErrFail that say that nothing was done.
func did(err error, names ...string) error {
	if is(err, append(names, "StandbyException")...) {
		return fmt.Errorf("%w: %w", harness.ErrFail, err)
	}
	return err
}

// asked is the address of a port of the name node that is asked.
func (c *connection) asked(port int) string {
	i := slices.IndexFunc(c.Access.Nodes(), func(n cluster.Node) bool { return n.Name == c.Node() })
	return net.JoinHostPort(c.Access.Nodes()[i].Host, strconv.Itoa(port))
}

// at is a request for an operation on a path at the name node that is asked.
func (c *connection) at(path, op string, parameters ...string) string {
	q := url.Values{"op": {op}, "user.name": {"root"}}
	for i := 0; i+1 < len(parameters); i += 2 {
		q.Set(parameters[i], parameters[i+1])
	}
	return (&url.URL{Scheme: "http", Host: c.asked(webPort), Path: "/webhdfs/v1" + path, RawQuery: q.Encode()}).String()
}

// do sends a request and returns the body of its answer. Its error is a [refusal] if the answer
// is an exception.
func (c *connection) do(ctx context.Context, method, address string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode < 300 {
		return text, err
	}
	var said struct {
		RemoteException struct{ Exception, Message string }
	}
	if json.Unmarshal(text, &said) == nil && said.RemoteException.Exception != "" {
		first, _, _ := strings.Cut(said.RemoteException.Message, "\n")
		return nil, &refusal{said.RemoteException.Exception, first}
	}
	return nil, fmt.Errorf("it answered %s", resp.Status)
}

// ask performs an operation at the name node and decodes its answer.
func (c *connection) ask(ctx context.Context, method, address string, answer any) error {
	text, err := c.do(ctx, method, address, nil)
	if err != nil || answer == nil {
		return err
	}
	return json.Unmarshal(text, answer)
}

// through asks the name node for a data node, and performs the operation there.
func (c *connection) through(ctx context.Context, method, address string, body []byte) (text []byte, sent bool, err error) {
	var to struct{ Location string }
	if err := c.ask(ctx, method, address+"&noredirect=true", &to); err != nil {
		return nil, false, err
	}
	if to.Location == "" {
		return nil, false, errors.New("the name node names no data node")
	}
	if method == http.MethodGet && c.Options.Reads != stale {
		if to.Location, err = c.pinned(to.Location); err != nil {
			return nil, false, err
		}
	}
	text, err = c.do(ctx, method, to.Location, body)
	return text, true, err
}

// pinned makes a data node ask the name node for the blocks of a file that was asked before. Left
// to itself it asks the first that says it is active, which may be one that was replaced and was
// frozen meanwhile.
func (c *connection) pinned(location string) (string, error) {
	u, err := url.Parse(location)
	if err != nil {
		return "", err
	}
	q := u.Query()
	q.Set("namenoderpcaddress", c.asked(namePort))
	u.RawQuery = q.Encode()
	return u.String(), nil
}

func dirPath(dir string) string          { return "/coup/" + dir }
func objectPath(dir, name string) string { return dirPath(dir) + "/" + name }

// directory makes a directory.
func (c *connection) directory(ctx context.Context, dir string) error {
	if c.made[dir] {
		return nil
	}
	var said struct{ Boolean bool }
	err := c.ask(ctx, http.MethodPut, c.at(dirPath(dir), "MKDIRS"), &said)
	if err == nil && !said.Boolean {
		err = errors.New("it is not made")
	}
	if err != nil {
		return fmt.Errorf("%w: make a directory: %w", harness.ErrFail, err)
	}
	c.made[dir] = true
	return nil
}

// WriteObject implements cluster.Storage. The rename is one entry of the journal.
func (c *connection) WriteObject(ctx context.Context, dir, name string, content []byte) error {
	if err := c.Lead(ctx); err != nil {
		return err
	}
	if err := c.directory(ctx, dir); err != nil {
		return err
	}
	c.written++
	draft := fmt.Sprintf("/draft/%s-%s-%d", c.Options.Client, dir, c.written)
	if _, _, err := c.through(ctx, http.MethodPut, c.at(draft, "CREATE", "overwrite", "true"), content); err != nil {
		return fmt.Errorf("%w: a draft: %w", harness.ErrFail, err) // which nobody sees
	}
	return c.rename(ctx, draft, objectPath(dir, name))
}

func (c *connection) rename(ctx context.Context, from, to string) error {
	err := c.ask(ctx, http.MethodPut, c.at(from, "RENAME", "destination", to, "renameoptions", "OVERWRITE"), nil)
	return did(err, "FileNotFoundException")
}

// RenameObject implements cluster.Storage.
func (c *connection) RenameObject(ctx context.Context, dir, from, to string) error {
	if err := c.Lead(ctx); err != nil {
		return err
	}
	return c.rename(ctx, objectPath(dir, from), objectPath(dir, to))
}

// AppendObject implements cluster.Storage. What a data node says afterwards may be of a step that
// came after the bytes were written: it goes from name node to name node by itself, and the file may be
// replaced meanwhile. So only what the first step alone says means that nothing was done.
func (c *connection) AppendObject(ctx context.Context, dir, name string, content []byte) error {
	if err := c.Lead(ctx); err != nil {
		return err
	}
	_, sent, err := c.through(ctx, http.MethodPost, c.at(objectPath(dir, name), "APPEND"), content)
	switch {
	case err == nil:
		return nil
	case !sent, is(err, "AlreadyBeingCreatedException", "RecoveryInProgressException"),
		is(err, "FileNotFoundException") && strings.Contains(err.Error(), "Failed to append to non-existent file"):
		return fmt.Errorf("%w: %w", harness.ErrFail, err)
	}
	return err
}

// look makes sure that the name node which is asked is the active one, if reads are to be
// linearizable: it writes something, which the journal nodes take from no other.
func (c *connection) look(ctx context.Context, dir string) error {
	if err := c.Lead(ctx); err != nil {
		return err
	}
	if c.Options.Reads == stale {
		return nil
	}
	if err := c.directory(ctx, dir); err != nil {
		return err
	}
	// A time that is new each time: what changes nothing is not written.
	if err := c.ask(ctx, http.MethodPut, c.at(dirPath(dir), "SETTIMES", "modificationtime", strconv.FormatInt(time.Now().UnixMilli()-rand.Int64N(1<<30), 10)), nil); err != nil {
		return fmt.Errorf("%w: %w", harness.ErrFail, err)
	}
	return nil
}

// ReadObject implements cluster.Storage.
func (c *connection) ReadObject(ctx context.Context, dir, name string) (content []byte, found bool, err error) {
	if err := c.look(ctx, dir); err != nil {
		return nil, false, err
	}
	content, _, err = c.through(ctx, http.MethodGet, c.at(objectPath(dir, name), "OPEN"), nil)
	switch {
	case is(err, "FileNotFoundException"):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("%w: %w", harness.ErrFail, err)
	}
	return content, true, nil
}

// ListObjects implements cluster.Storage.
func (c *connection) ListObjects(ctx context.Context, dir string) (names []string, err error) {
	if err := c.look(ctx, dir); err != nil {
		return nil, err
	}
	var said struct {
		FileStatuses struct {
			FileStatus []struct{ PathSuffix string }
		}
	}
	err = c.ask(ctx, http.MethodGet, c.at(dirPath(dir), "LISTSTATUS"), &said)
	switch {
	case is(err, "FileNotFoundException"):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%w: %w", harness.ErrFail, err)
	}
	for _, f := range said.FileStatuses.FileStatus {
		names = append(names, f.PathSuffix)
	}
	return names, nil
}
