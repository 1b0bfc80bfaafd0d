package docker

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// podman is an engine that removes a container only when no other one depends on it,
// and keeps no labels of volumes.
type podman struct {
	mu         sync.Mutex
	run        string
	containers map[string][]string // those that depend on it
	volumes    []string
	stuck      string // a container that can't be removed
}

func (p *podman) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	name := path.Base(r.URL.Path)
	fail := func(code int, why string) {
		w.WriteHeader(code)
		json.NewEncoder(w).Encode(map[string]string{"message": why})
	}
	switch {
	case r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/containers/"):
		needed := slices.ContainsFunc(p.containers[name], func(other string) bool { _, is := p.containers[other]; return is })
		if name == p.stuck || needed {
			fail(http.StatusInternalServerError, "container "+name+" has dependent containers which must be removed before it")
			return
		}
		delete(p.containers, name)
	case r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/volumes/"):
		p.volumes = slices.DeleteFunc(p.volumes, func(v string) bool { return v == name })
	case strings.HasSuffix(r.URL.Path, "/version"):
		w.Write([]byte(`{"Version":"4.3.1","ApiVersion":"1.41","Os":"linux","Arch":"amd64"}`))
	case strings.HasSuffix(r.URL.Path, "/info"):
		json.NewEncoder(w).Encode(map[string]string{"SystemTime": time.Now().Format(time.RFC3339Nano)})
	case strings.HasSuffix(r.URL.Path, "/containers/json"):
		all := []map[string]any{}
		for id := range p.containers {
			all = append(all, map[string]any{"Id": id, "State": "exited", "Created": 1, "Labels": map[string]string{labelRun: p.run}})
		}
		json.NewEncoder(w).Encode(all)
	case strings.HasSuffix(r.URL.Path, "/volumes"):
		all := []map[string]string{}
		for _, v := range p.volumes {
			all = append(all, map[string]string{"Name": v, "CreatedAt": "2020-01-02T03:04:05Z"})
		}
		json.NewEncoder(w).Encode(map[string]any{"Volumes": all})
	default:
		w.Write([]byte("[]"))
	}
}

func connect(t *testing.T, p *podman) *Engine {
	t.Helper()
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	home(t, "")
	t.Setenv("DOCKER_HOST", strings.Replace(server.URL, "http", "tcp", 1))
	e, err := Connect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

const someRun = "20200102-030405-0abcde"

// What others depend on goes after them, volumes without labels go by their names, and
// what is not of this run stays.
func TestRemovesInOrder(t *testing.T) {
	others := []string{"coup-20200102-030405-ffffff-n1", "coup-something", "data"}
	p := &podman{run: someRun, containers: map[string][]string{"s1": {"n1", "i1"}, "n1": {"i1"}, "i1": nil, "s2": {"n2"}, "n2": nil},
		volumes: append([]string{"coup-" + someRun + "-n1", "coup-" + someRun + "-n2-data2"}, others...)}
	e := connect(t, p)
	removed, err := e.removeRun(context.Background(), someRun)
	if err != nil || removed.Containers != 5 || removed.Volumes != 2 || len(p.containers) > 0 || !slices.Equal(p.volumes, others) {
		t.Errorf("removed %v, %v; left %v, %v", removed, err, p.containers, p.volumes)
	}
}

func TestWhatCannotBeRemovedIsSaid(t *testing.T) {
	p := &podman{run: someRun, containers: map[string][]string{"s1": nil, "n1": nil}, stuck: "s1"}
	e := connect(t, p)
	removed, err := e.removeRun(context.Background(), someRun)
	if err == nil || !strings.Contains(err.Error(), "container s1") || removed.Containers != 1 {
		t.Errorf("removed %v, %v", removed, err)
	}
}

// A run of which volumes alone are left is found, and removed once it is old enough.
func TestCollectsVolumesByName(t *testing.T) {
	p := &podman{run: someRun, volumes: []string{"coup-" + someRun + "-n1", "coup-mine", "data"}}
	e := connect(t, p)
	removed, err := e.Collect(context.Background(), false)
	if err != nil || removed.Volumes != 1 || len(p.volumes) != 2 {
		t.Errorf("removed %v, %v; left %v", removed, err, p.volumes)
	}
}
