package rabbitmq

import (
	"slices"
	"strings"
	"testing"

	"coup/cluster"
)

func set(pairs ...string) cluster.Options {
	o := cluster.Options{Settings: map[string]string{}}
	for i := 0; i < len(pairs); i += 2 {
		o.Settings[pairs[i]] = pairs[i+1]
	}
	return o
}

var three = []cluster.Node{{Name: "n1", Host: "10.0.0.1"}, {Name: "n2", Host: "10.0.0.2"}, {Name: "n3", Host: "10.0.0.3"}}

func TestCheck(t *testing.T) {
	for _, o := range []cluster.Options{
		{}, {Reads: "linearizable"}, set("queue", "classic", "persistent", "false"), set("queue", "mirrored", "partition-handling", "autoheal"),
	} {
		if err := (System{}).Check(o); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for _, o := range []cluster.Options{
		{Version: "3.13"}, {Bug: "x"}, {Reads: "stale"}, set("queue", "stream"), set("queue", ""), set("persistent", "no"), set("heartbeat", "1s"), set("partition-handling", "pause"),
	} {
		if err := (System{}).Check(o); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestPod(t *testing.T) {
	o := set("partition-handling", "autoheal")
	o.Seed = []byte("run")
	cookie := ""
	for _, n := range three {
		p := System{}.Pod(n, three, o)
		if err := p.Check(); err != nil {
			t.Error(err)
		}
		if !slices.Contains(p.Containers[0].Env, "RABBITMQ_NODENAME=rabbit@"+n.Host) {
			t.Errorf("%s: %q", n.Name, p.Containers[0].Env)
		}
		for _, f := range p.Files {
			switch content := string(f.Content); {
			case strings.HasSuffix(f.Path, "/rabbitmq.conf"):
				for _, line := range []string{"cluster_partition_handling = autoheal", "cluster_formation.classic_config.nodes.3 = rabbit@10.0.0.3", "loopback_users.guest = false"} {
					if !strings.Contains("\n"+content, "\n"+line+"\n") {
						t.Errorf("%s: no %q in\n%s", n.Name, line, content)
					}
				}
			case strings.HasSuffix(f.Path, "/.erlang.cookie"):
				if f.Mode != 0o400 || cookie != "" && cookie != content || len(content) < 20 {
					t.Errorf("%s: %+v, and another node has %q", n.Name, f, cookie)
				}
				cookie = content
			}
		}
	}
}

// What is said to lose messages is what can.
func TestLoses(t *testing.T) {
	for _, c := range []struct {
		o     cluster.Options
		loses bool
	}{
		{cluster.Options{}, false}, {set("partition-handling", "ignore"), false}, {set("persistent", "false"), false},
		{set("queue", "classic"), false}, {set("queue", "classic", "persistent", "false"), true}, {set("queue", "mirrored"), true},
	} {
		if s := (System{}).Loses(c.o); (s != "") != c.loses {
			t.Errorf("%v loses %q", c.o.Settings, s)
		}
	}
	if a := arguments("quorum"); a["x-queue-type"] != "quorum" {
		t.Error(a)
	}
	if a := arguments("mirrored"); a["x-queue-type"] != "classic" { // mirrored by a policy
		t.Error(a)
	}
}

func TestStatusOf(t *testing.T) {
	for _, c := range []struct {
		leads  map[string]int
		leader string
	}{
		{nil, ""},
		{map[string]int{"rabbit@10.0.0.2": 1}, "n2"},
		{map[string]int{"rabbit@10.0.0.1": 2, "rabbit@10.0.0.3": 3}, "n3"},
		{map[string]int{"rabbit@10.0.0.3": 2, "rabbit@10.0.0.2": 2}, "n2"}, // all nodes take the same
		{map[string]int{"rabbit@elsewhere": 5, "": 9}, ""},
	} {
		for _, n := range three {
			s := statusOf(n.Name, three, c.leads)
			if s.Leader != c.leader || (s.Role == "leader") != (n.Name == c.leader) || s.Node != n.Name {
				t.Errorf("%v: %+v", c.leads, s)
			}
		}
	}
}
