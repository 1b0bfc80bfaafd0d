package primarybackup

import (
	"strings"
	"testing"

	"coup/cluster"
)

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		o     cluster.Options
		wrong string // what the error says; "": nothing is wrong
	}{
		{cluster.Options{}, ""},
		{cluster.Options{Reads: "stale", Settings: map[string]string{"copies": "1", "heartbeat": "200ms"}}, ""},
		{cluster.Options{Settings: map[string]string{"copies": "3"}}, "copies"},
		{cluster.Options{Settings: map[string]string{"copies": "x"}}, "copies"},
		{cluster.Options{Settings: map[string]string{"copies": "many"}}, "a whole number"},
		{cluster.Options{Settings: map[string]string{"heartbeat": "abc"}}, "a duration such as 500ms"},
		{cluster.Options{Settings: map[string]string{"lease": "1s"}}, `no setting "lease"`},
		{cluster.Options{Reads: "dirty"}, "unknown mode of reads"},
		{cluster.Options{Bug: "no-sync"}, "no planted bugs"},
		{cluster.Options{Version: "1"}, "release"},
	} {
		err := System{}.Check(c.o)
		if c.wrong == "" && err != nil || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%+v: %v, want %q", c.o, err, c.wrong)
		}
	}
}

func TestPod(t *testing.T) {
	all := []cluster.Node{{Name: "n1", Host: "h1"}, {Name: "n2", Host: "h2"}}
	p := System{}.Pod(all[1], all, cluster.Options{Settings: map[string]string{"copies": "1"}})
	if err := p.Check(); err != nil || !p.Bundled() {
		t.Errorf("%v, bundled %v", err, p.Bundled())
	}
	args := strings.Join(p.Containers[0].Args, " ")
	for _, want := range []string{"--id=n2", "n1=h1:7000", "--replication=primary-backup", "--copies=1"} {
		if !strings.Contains(args, want) {
			t.Errorf("%s lacks %s", args, want)
		}
	}
}
