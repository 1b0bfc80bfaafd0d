package raftnode

import (
	"bytes"
	"slices"
	"testing"
)

// bytesOf is content of several parts.
func bytesOf(b byte, parts int) []byte { return bytes.Repeat([]byte{b}, parts*partSize-1) }

func named(name string, content []byte) *Object { return &Object{Name: name, Content: content} }

func TestObjects(t *testing.T) {
	virtually(t, func(t *testing.T) {
		c := startCluster(t, 3, nil)
		read := func(name string) *Object {
			t.Helper()
			return c.must(PathObjectRead, Request{Key: "d", Object: named(name, nil)}).Object
		}
		names := func(want ...string) {
			t.Helper()
			if got := c.must(PathObjectList, Request{Key: "d"}).Object; got == nil || !slices.Equal(got.Names, want) {
				t.Errorf("the list is %+v, want %v", got, want)
			}
		}
		names()
		if o := read("a"); o == nil || o.Found {
			t.Errorf("there is %+v", o)
		}
		for _, path := range []string{PathObjectAppend, PathObjectRename} {
			_, f := c.post(c.leader(), path, Request{Key: "d", Object: &Object{Name: "a", To: "b", Content: []byte("x")}, Client: "auto"})
			if f == nil || f.Happened != DidNotHappen || f.Reason != string(refusedMissing) {
				t.Errorf("%s of what is not there: %v", path, f)
			}
		}
		c.must(PathObjectWrite, Request{Key: "d", Object: named("a", bytesOf('1', 3)), Client: "auto"})
		c.must(PathObjectAppend, Request{Key: "d", Object: named("a", []byte("23")), Client: "auto"})
		whole := append(bytesOf('1', 3), "23"...)
		if o := read("a"); !o.Found || !bytes.Equal(o.Content, whole) {
			t.Errorf("%d bytes were read", len(o.Content))
		}
		c.must(PathObjectWrite, Request{Key: "d", Object: named("b", []byte("old")), Client: "auto"})
		names("a", "b")
		c.must(PathObjectRename, Request{Key: "d", Object: &Object{Name: "a", To: "b"}, Client: "auto"})
		names("b")
		if o := read("b"); !bytes.Equal(o.Content, whole) {
			t.Errorf("%d bytes were read", len(o.Content))
		}
		c.agree()
		for _, req := range []Request{{Key: "d"}, {Key: "d", Object: &Object{Name: "a"}}, {Key: "d", Object: &Object{Name: "a", To: "a"}}} {
			if _, f := c.post(c.leader(), PathObjectRename, req); f == nil || f.Happened != DidNotHappen {
				t.Errorf("a rename without two names: %v", f)
			}
		}
	})
}

// The parts of a write are nothing until it is committed, whatever comes in between and
// however often they come.
func TestObjectCommands(t *testing.T) {
	s := newState()
	on := func(op, client string, seq uint64, value int64, name, content string) command {
		return command{Op: op, Key: "d", Value: value, Client: client, Seq: seq, Object: objectCommand{Name: name, Content: []byte(content)}}
	}
	for i, step := range []struct {
		c    command
		want string // what object a then is
		r    refusal
	}{
		{on(opObjectPart, "p", 5, 1, "a", "world"), "", ""},
		{on(opObjectPart, "p", 5, 0, "a", "hello "), "", ""},
		{on(opObjectPart, "q", 1, 0, "a", "mixed "), "", ""},
		{on(opObjectPart, "p", 5, 0, "a", "hello "), "", ""}, // proposed twice
		{on(opObjectCommit, "p", 5, 2, "a", ""), "hello world", ""},
		{on(opObjectPart, "p", 5, 0, "a", "again "), "hello world", ""}, // too late
		{on(opObjectCommit, "p", 5, 2, "a", ""), "hello world", ""},
		{on(opObjectPart, "q", 2, 0, "a", "newer"), "hello world", ""},
		{on(opObjectCommit, "q", 1, 1, "a", ""), "hello world", refusedOld}, // its parts are gone
		{on(opObjectCommit, "q", 2, 1, "a", ""), "newer", ""},
		{on(opObjectAppend, "q", 3, 0, "b", "x"), "newer", refusedMissing},
		{on(opObjectAppend, "q", 4, 0, "a", "!"), "newer!", ""},
		{on(opObjectPut, "q", 5, 0, "a", "short"), "short", ""},
		{on(opObjectPart, "r", 1, 0, "a", "open"), "short", ""}, // stays open
	} {
		if r := s.apply(step.c, ""); r.Refused != step.r {
			t.Errorf("step %d: refused %q", i, r.Refused)
		}
		if got, _ := s.objects.read("d", "a"); string(got) != step.want {
			t.Errorf("step %d: the object is %q, want %q", i, got, step.want)
		}
		again := s.image().state()
		if again.sum != s.sum {
			t.Errorf("step %d: digest is not that of the state", i)
		}
	}
	if n := len(s.objects.uploads); n != 1 {
		t.Errorf("%d writes are open", n)
	}
}

func TestBugsOfObjects(t *testing.T) {
	t.Parallel()
	content := bytesOf('1', 2)
	leads := func(t *testing.T, bug Bug) (c *testCluster, last func() uint64) {
		c = startCluster(t, 1, withBug(bug))
		c.must(PathObjectWrite, Request{Key: "d", Object: named("a", content), Client: "auto"})
		return c, func() uint64 {
			index, err := c.nodes[0].logs.LastIndex()
			if err != nil {
				t.Fatal(err)
			}
			return index
		}
	}
	bothWays(t, TornObject, func(t *testing.T, bug Bug) {
		c, last := leads(t, bug)
		if op := commandAt(t, c.nodes[0], last()).Op; (op == opObjectCommit) != (bug == "") {
			t.Errorf("a write ends with a %s", op)
		}
		if got := c.must(PathObjectRead, Request{Key: "d", Object: named("a", nil)}).Object; !bytes.Equal(got.Content, content) {
			t.Errorf("%d bytes were read", len(got.Content))
		}
	})
	bothWays(t, CopyRename, func(t *testing.T, bug Bug) {
		c, last := leads(t, bug)
		before := last()
		c.must(PathObjectRename, Request{Key: "d", Object: &Object{Name: "a", To: "b"}, Client: "auto"})
		if n := last() - before; (n == 2) != (bug != "") {
			t.Errorf("a rename is %d entries", n)
		}
		if got := c.must(PathObjectList, Request{Key: "d"}).Object; !slices.Equal(got.Names, []string{"b"}) {
			t.Errorf("the list is %v", got.Names)
		}
	})
	bothWays(t, StaleAppend, func(t *testing.T, bug Bug) {
		c, last := leads(t, bug)
		c.must(PathObjectAppend, Request{Key: "d", Object: named("a", []byte("x")), Client: "auto"})
		if at := commandAt(t, c.nodes[0], last()).From; (at != nil) != (bug != "") {
			t.Errorf("an append is put at %s", show(at))
		}
	})
	bothWays(t, StaleList, func(t *testing.T, bug Bug) {
		c := startCluster(t, 3, withBug(bug))
		f := c.follower()
		c.isolate(f)
		if _, fail := c.post(f, PathObjectList, Request{Key: "d", Timeout: 300}); (fail == nil) != (bug != "") {
			t.Errorf("a follower that is cut off answered: %v", fail)
		}
	})
	bothWays(t, FracturedObject, func(t *testing.T, bug Bug) {
		c, _ := leads(t, bug)
		if got := c.must(PathObjectRead, Request{Key: "d", Object: named("a", nil)}).Object; !got.Found || !bytes.Equal(got.Content, content) {
			t.Errorf("%d bytes were read", len(got.Content))
		}
		if none := c.must(PathObjectRead, Request{Key: "d", Object: named("b", nil)}).Object; none.Found {
			t.Error("there is what nobody wrote")
		}
	})
}
