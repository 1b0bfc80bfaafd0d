//go:build linux

// Command keeper is the first process of a node of etcd: it runs etcd as its child, and
// keeps the node alive when etcd ends because its member was removed from the cluster.
//
// A member that was removed comes back as a new one only: with an empty directory, and
// told that the cluster exists. So the keeper removes the data, waits until a peer knows
// of a new member at this node's address, and starts etcd again.
//
// This file is built into coup's images of etcd, together with one that calls etcd in
// place of etcd.go. It uses the standard library alone.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// child is set in the environment of etcd itself.
const child = "COUP_ETCD_CHILD"

func main() {
	k := keeper{flags: os.Args[1:]}
	if os.Getenv(child) != "" || k.flag("initial-cluster") == "" || k.flag("data-dir") == "" {
		etcd()
		return
	}
	os.Setenv(child, "1")
	runtime.LockOSThread() // Pdeathsig is about this thread
	os.Exit(k.keep())
}

// keeper runs etcd with these flags, each of the form --NAME=VALUE.
type keeper struct {
	flags   []string
	signals chan os.Signal
}

// flag is the value of a flag, or "".
func (k keeper) flag(name string) string {
	for _, f := range k.flags {
		if value, ok := strings.CutPrefix(f, "--"+name+"="); ok {
			return value
		}
	}
	return ""
}

// joining are the flags of a new member of the cluster that exists.
func (k keeper) joining(members string) []string {
	all := slices.DeleteFunc(slices.Clone(k.flags), func(f string) bool { return strings.HasPrefix(f, "--initial-cluster") })
	return append(all, "--initial-cluster="+members, "--initial-cluster-state=existing")
}

// removed is the file which says that the node's first member was removed.
func (k keeper) removed() string { return k.flag("data-dir") + ".removed" }

// keep runs etcd until it ends for another reason than that its member was removed, and
// returns its exit code.
func (k keeper) keep() int {
	k.signals = make(chan os.Signal, 8)
	signal.Notify(k.signals, syscall.SIGTERM, syscall.SIGINT)
	for {
		flags, joins := k.flags, false
		if !k.hasData() {
			// What an etcd has left that was killed before it had a log.
			if err := empty(k.flag("data-dir")); err != nil {
				return k.failed(err)
			}
			if _, err := os.Stat(k.removed()); err == nil {
				members, asked := k.await()
				if asked {
					return 0
				}
				flags, joins = k.joining(members), true
			}
		}
		code, asked, removed, err := k.run(flags)
		switch {
		case err != nil:
			return k.failed(err)
		case asked:
			return code
		case removed:
			say("the member was removed; its data goes")
			if err := k.forget(); err != nil {
				return k.failed(err)
			}
		case code == 1 && joins && !k.hasData(): // the members have changed since they were listed
			say("etcd could not join; it tries again")
			time.Sleep(pause)
		default:
			return code
		}
	}
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "keeper: "+format+"\n", args...) }

func (keeper) failed(err error) int {
	say("%v", err)
	return 70
}

// hasData reports whether etcd has a log on disk. Then it goes on from that, whatever
// its flags say of the cluster.
func (k keeper) hasData() bool {
	logs, err := filepath.Glob(filepath.Join(k.flag("data-dir"), "member", "wal", "*.wal"))
	return err == nil && len(logs) > 0
}

// forget removes the data. A kill in the middle leaves all of it or, in effect, nothing.
func (k keeper) forget() error {
	f, err := os.Create(k.removed())
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	dir := k.flag("data-dir")
	old := filepath.Join(dir, "removed")
	if err := os.RemoveAll(old); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(dir, "member"), old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return empty(dir)
}

// empty removes what is in a directory, but not the directory: a volume may be mounted
// there. One that does not exist is empty.
func empty(dir string) error {
	all, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range all {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// run runs etcd, passes signals on to it, and returns its exit code. asked says that
// somebody has told it to end, removed that it has ended because its member was removed:
// only then does it stop of its own accord, with code 0, or, if it has not served yet, with
// an error that says so (embed.serve, in etcd 3.5 to 3.7).
func (k keeper) run(flags []string) (code int, asked, removed bool, err error) {
	program, err := os.Executable()
	if err != nil {
		return 0, false, false, err
	}
	c := exec.Command(program, flags...)
	said := &watch{to: os.Stderr, words: []byte(`"error":"server is stopping"`)}
	c.Stdout, c.Stderr = os.Stdout, said
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // nobody would find it without its keeper
	if err := c.Start(); err != nil {
		return 0, false, false, err
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	for {
		select {
		case s := <-k.signals:
			asked = true
			c.Process.Signal(s) // if it has ended already, that is what was asked
		case err := <-ended:
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				return 0, asked, false, err
			}
			code := c.ProcessState.ExitCode()
			if status, ok := c.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
				code = 128 + int(status.Signal())
			}
			return code, asked, code == 0 || code == 1 && said.seen, nil
		}
	}
}

// watch writes on what it is given, and sees whether there are some words in it.
type watch struct {
	to    io.Writer
	words []byte
	seen  bool
	last  []byte // the end of what was written before
}

// Write implements io.Writer.
func (w *watch) Write(p []byte) (int, error) {
	all := append(w.last, p...)
	w.seen = w.seen || bytes.Contains(all, w.words)
	w.last = bytes.Clone(all[max(0, len(all)-len(w.words)):])
	return w.to.Write(p)
}

// pause is the time between two looks at what the peers list.
const pause = 100 * time.Millisecond

// await waits until a peer lists a new member at this node's address, and returns the
// members in the form of the flag initial-cluster. asked says that somebody has told the
// node to end.
func (k keeper) await() (members string, asked bool) {
	self, name := k.flag("initial-advertise-peer-urls"), k.flag("name")
	client := http.Client{Timeout: 10 * pause}
	for {
		for _, peer := range strings.Split(k.flag("initial-cluster"), ",") {
			_, url, _ := strings.Cut(peer, "=")
			if url == self {
				continue
			}
			if members, ok := list(&client, url, self, name); ok {
				return members, false
			}
		}
		select {
		case <-k.signals:
			return "", true
		case <-time.After(pause):
		}
	}
}

// list asks a peer for the members. ok says that there is a new one at the address self:
// a learner that has no name yet. A peer that is behind may still list the old one, which
// had a vote or a name: what that one has promised to others is lost, so that nobody may
// take its place.
func list(client *http.Client, peer, self, name string) (members string, ok bool) {
	resp, err := client.Get(peer + "/members")
	if err != nil {
		return "", false
	}
	defer resp.Body.Close()
	var all []struct {
		Name      string
		PeerURLs  []string
		IsLearner bool
	}
	if resp.StatusCode != http.StatusOK || json.NewDecoder(resp.Body).Decode(&all) != nil {
		return "", false
	}
	var parts []string
	for i, m := range all {
		if len(m.PeerURLs) != 1 {
			return "", false
		}
		called := fmt.Sprintf("other%d", i) // their names are not looked at
		if m.PeerURLs[0] == self {
			called, ok = name, m.IsLearner && m.Name == ""
		}
		parts = append(parts, called+"="+m.PeerURLs[0])
	}
	return strings.Join(parts, ","), ok
}
