package raftnode

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"coup/cluster/raftnode/simulated"
)

func entryOf(i, term uint64) *raft.Log {
	return &raft.Log{Index: i, Term: term, Type: raft.LogCommand, Data: []byte("x")}
}

// A write that fails does not return: nothing is said or done after it.
func TestFailStop(t *testing.T) {
	fail := false
	w, err := simulated.OpenWAL(t.TempDir(), func(string) error {
		if fail {
			return errors.New("no luck")
		}
		return nil
	}, simulated.Flaws{})
	if err != nil {
		t.Fatal(err)
	}
	d := newDisk(w, w, nil, w.Close)
	defer d.close()
	if err := errors.Join(d.logs.StoreLog(entryOf(1, 1)), d.logs.StoreLogs([]*raft.Log{entryOf(2, 1)}), d.logs.DeleteRange(1, 1),
		d.stable.Set([]byte("vote"), []byte("n1")), d.stable.SetUint64([]byte("term"), 1)); err != nil {
		t.Fatal(err)
	}
	fail = true
	returned := make(chan struct{}, 5)
	for _, write := range []func() error{
		func() error { return d.logs.StoreLog(entryOf(3, 1)) },
		func() error { return d.logs.StoreLogs([]*raft.Log{entryOf(3, 1)}) },
		func() error { return d.logs.DeleteRange(2, 2) },
		func() error { return d.stable.Set([]byte("vote"), []byte("n2")) },
		func() error { return d.stable.SetUint64([]byte("term"), 2) },
	} {
		go func() {
			write()
			returned <- struct{}{}
		}()
	}
	if err := <-d.failed; err == nil || !strings.Contains(err.Error(), "no luck") {
		t.Errorf("told %v", err)
	}
	select {
	case <-returned:
		t.Error("a write that failed returned")
	case <-time.After(10 * time.Millisecond):
	}
	if last, _ := d.logs.LastIndex(); last != 2 {
		t.Errorf("newest entry is %d", last)
	}
}
