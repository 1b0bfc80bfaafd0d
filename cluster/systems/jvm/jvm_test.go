package jvm

import (
	"context"
	"encoding/xml"
	"errors"
	"reflect"
	"strings"
	"testing"

	"coup/cluster"
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

func TestLeader(t *testing.T) {
	a := access{}
	says := func(yes ...string) func(context.Context, string) (bool, error) {
		return func(ctx context.Context, node string) (bool, error) {
			for _, y := range yes {
				if y == node {
					return true, nil
				}
			}
			if len(yes) > 0 {
				<-ctx.Done() // it is not waited for
			}
			return true, errors.New("it does not answer")
		}
	}
	if got := Leader(t.Context(), a, says("n2")); got != "n2" {
		t.Errorf("%q leads", got)
	}
	if got := Leader(t.Context(), a, says()); got != "" {
		t.Errorf("%q leads", got)
	}
	if !Is(Worker, a, "n3") || Is(Worker, a, "n1") || Is(Worker, a, "n9") {
		t.Error("who works")
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
