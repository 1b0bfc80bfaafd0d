package jvm

import (
	"context"
	"encoding/xml"
	"errors"
	"reflect"
	"strings"
	"testing"

	"coup/cluster"
	"coup/harness"
)

func nodes(roles ...string) (all []cluster.Node) {
	for i, role := range roles {
		name := string(rune('1' + i))
		all = append(all, cluster.Node{Name: "n" + name, Host: "10.0.0." + name, Role: role})
	}
	return all
}

func TestRoles(t *testing.T) {
	for n, managers := range map[int]int{1: 1, 2: 1, 3: 2, 4: 3, 5: 3, 7: 4, 25: 13} {
		sum := 0
		for _, r := range Roles(n) {
			sum += r.Nodes
		}
		if r := Roles(n); sum != n || r[0].Name != Manager || r[0].Nodes != managers {
			t.Errorf("%d nodes: %v", n, r)
		}
	}
}

func TestZooKeeper(t *testing.T) {
	all := nodes(Manager, Manager, Manager, Worker)
	for i, n := range all {
		pod := cluster.Pod{Containers: []cluster.Container{{Name: "program"}}, Data: []cluster.Dir{{Path: "/data"}}}
		ZooKeeper(&pod, n, all, "image", "/jars/*", 3000)
		if err := pod.Check(); err != nil {
			t.Error(err)
		}
		if i == 3 {
			if len(pod.Containers) != 1 || len(pod.Files) > 0 {
				t.Errorf("a fourth server: %+v", pod)
			}
			continue
		}
		config := string(pod.Files[0].Content)
		if pod.Containers[0].Name != "zookeeper" || !strings.Contains(config, "server.3=10.0.0.3:2888:3888\n") || strings.Contains(config, "server.4") || string(pod.Files[1].Content) != string(rune('1'+i))+"\n" {
			t.Errorf("%s: %s", n.Name, config)
		}
	}
	if got := Quorum(all); got != "10.0.0.1:2181,10.0.0.2:2181,10.0.0.3:2181" {
		t.Error(got)
	}
	if got := Quorum(all[:2]); got != "10.0.0.1:2181" {
		t.Error(got)
	}
}

// access is the way to nodes whose workers have files of marks.
type access struct {
	cluster.Access
	marks map[string]string
}

func (a access) Nodes() []cluster.Node { return nodes(Manager, Manager, Worker, Worker) }

func (a access) Exec(_ context.Context, node, _ string, _ ...string) ([]byte, error) {
	text, ok := a.marks[node]
	if !ok {
		return nil, errors.New("it is down")
	}
	return []byte(text), nil
}

func TestMarks(t *testing.T) {
	a := access{marks: map[string]string{"n3": "k-1\nk-2\nother-1\n", "n4": "k-1\nk-x\nk--3\n\n"}}
	marks, err := Marks(t.Context(), a, Of(Worker, a.Nodes()), "", "k")
	if want := map[int64]int{1: 2, 2: 1, -3: 1}; err != nil || !reflect.DeepEqual(marks, want) {
		t.Errorf("%v, %v", marks, err)
	}
	seen := Seen(marks, map[int64]string{2: cluster.JobFinished, 5: cluster.JobFailed}, 3)
	if seen.Busy != 3 || seen.Jobs[1] != (cluster.JobSeen{Effects: 2}) || seen.Jobs[2] != (cluster.JobSeen{State: "finished", Effects: 1}) || seen.Jobs[5] != (cluster.JobSeen{State: "failed"}) {
		t.Errorf("%+v", seen)
	}
	delete(a.marks, "n4") // what it has nobody knows
	if marks, err := Marks(t.Context(), a, Of(Worker, a.Nodes()), "", "k"); err == nil {
		t.Errorf("%v of one of two nodes", marks)
	}
}

// say is how managers are asked that say this of themselves; those that say nothing do not
// answer before nobody waits any more, and n4, a worker, never does.
func say(states map[string]string) Managers {
	return Managers{
		Name: "master", Leads: "lead", Waits: "wait", Recovers: []string{"recover"},
		State: func(ctx context.Context, _ cluster.Access, node string) (string, error) {
			if said := states[node]; said != "" {
				return said, nil
			}
			if len(states) > 0 {
				<-ctx.Done()
			}
			return "lead", errors.New("it does not answer")
		},
		Worker: func(_ context.Context, _ cluster.Access, node string) error {
			if node == "n4" {
				return errors.New("it does not answer")
			}
			return nil
		},
	}
}

func TestLeader(t *testing.T) {
	a := access{}
	if got := say(map[string]string{"n2": "lead"}).Leader(t.Context(), a); got != "n2" { // n1 is not waited for
		t.Errorf("%q leads", got)
	}
	for _, states := range []map[string]string{{}, {"n1": "wait", "n2": "recover"}} {
		c := say(states).Client(a, "n3", cluster.Options{})
		if err := c.Lead(t.Context()); !errors.Is(err, harness.ErrFail) || c.Node() != "n3" {
			t.Errorf("%v: %s leads: %v", states, c.Node(), err)
		}
	}
	c := say(map[string]string{"n1": "lead", "n2": "wait"}).Client(a, "n3", cluster.Options{})
	if err := c.Lead(t.Context()); err != nil || c.Node() != "n1" {
		t.Errorf("%s leads: %v", c.Node(), err)
	}
}

func TestStatus(t *testing.T) {
	m := say(map[string]string{"n1": "lead", "n2": "recover"})
	for node, want := range map[string]cluster.Status{
		"n1": {Node: "n1", Role: "leader", Leader: "n1"}, "n2": {Node: "n2", Role: "candidate", Leader: "n1"}, "n3": {Node: "n3", Role: "follower", Leader: "n1"},
	} {
		if got, err := m.Status(t.Context(), access{}, node); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v", got, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, node := range []string{"n4", "nobody"} {
		if got, err := m.Status(ctx, access{}, node); err == nil {
			t.Errorf("%s: %+v", node, got)
		}
	}
}

func TestReady(t *testing.T) {
	for _, x := range []struct{ n1, n2, leader string }{
		{"lead", "wait", "n1"}, {"wait", "lead", "n2"}, {"wait", "wait", ""}, {"lead", "lead", ""}, {"lead", "recover", ""}, {"recover", "wait", ""},
	} {
		leader, err := say(map[string]string{"n1": x.n1, "n2": x.n2}).Ready(t.Context(), access{})
		if leader != x.leader || (err == nil) != (x.leader != "") {
			t.Errorf("%+v: %q, %v", x, leader, err)
		}
	}
	if leader, err := say(nil).Ready(t.Context(), access{}); err == nil {
		t.Errorf("%q of managers that do not answer", leader)
	}
}

func TestSettings(t *testing.T) {
	s := Settings{
		Defaults: map[string]string{"word": "a", "number": "1", "time": "3000"},
		Words:    map[string][]string{"word": {"a", "b"}}, Milliseconds: []string{"time"},
	}
	with := func(name, value string) cluster.Options {
		return cluster.Options{Settings: map[string]string{name: value}}
	}
	for _, o := range []cluster.Options{{}, {Reads: "x"}, {Reads: "y"}, with("word", "b"), with("number", "7"), with("time", "1000")} {
		if err := s.Check("told", o, "x", "y"); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for _, o := range []cluster.Options{{Bug: "x"}, {Reads: "z"}, with("word", "c"), with("word", ""), with("number", "0"), with("number", "x"), with("time", "999"), with("other", "1")} {
		if err := s.Check("told", o, "x", "y"); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestRelease(t *testing.T) {
	for version, want := range map[string]string{"": "3.4.2", "3.3.0": "3.3.0", "v3.5.1": "3.5.1", "3.2.9": "", "2.10.0": "", "4.3.0": "", "3.4": "", "x": ""} {
		if got, err := Release("hadoop", cluster.Options{Version: version}, "3.4.2", 3, 3); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", version, got, err)
		}
	}
}

func TestHadoopFile(t *testing.T) {
	f := HadoopFile("x.xml", map[string]string{"a.b": "<1>&2", "c": ""})
	var read struct {
		Property []struct {
			Name  string `xml:"name"`
			Value string `xml:"value"`
		} `xml:"property"`
	}
	if err := xml.Unmarshal(f.Content, &read); err != nil || f.Path != "/data/conf/x.xml" || len(read.Property) != 2 || read.Property[0].Value != "<1>&2" {
		t.Errorf("%s: %+v, %v", f.Content, read, err)
	}
}
