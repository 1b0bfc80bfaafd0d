package nats

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"coup/cluster"
)

func set(name, value string) cluster.Options {
	return cluster.Options{Settings: map[string]string{name: value}}
}

func TestCheck(t *testing.T) {
	for _, o := range []cluster.Options{
		{}, {Reads: "linearizable"}, {Reads: "lease"}, {Reads: "stale"}, {Version: "2.10.20"}, {Version: "v2.12.1"},
		set("replicas", "5"), set("sync-interval", "always"), set("sync-interval", "500ms"),
	} {
		if err := (System{}).Check(o); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for _, o := range []cluster.Options{
		{Bug: "x"}, {Reads: "local"}, {Version: "2.9.3"}, {Version: "3.0.0"}, {Version: "2.12"}, {Version: "new"},
		set("replicas", "2"), set("sync-interval", "never"), set("sync-interval", "-1s"), set("storage", "memory"),
	} {
		if err := (System{}).Check(o); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestPod(t *testing.T) {
	all := []cluster.Node{{Name: "n1", Host: "10.0.0.1"}, {Name: "n2", Host: "10.0.0.2"}, {Name: "n3", Host: "10.0.0.3"}}
	p := System{}.Pod(all[1], all, set("sync-interval", "always"))
	if err := p.Check(); err != nil {
		t.Error(err)
	}
	text := string(p.Files[0].Content)
	for _, words := range []string{"server_name: n2", "routes: [nats://10.0.0.1:6222, nats://10.0.0.3:6222]", `sync_interval: "always"`} {
		if !strings.Contains(text, words) {
			t.Errorf("no %q in\n%s", words, text)
		}
	}
}

// Keys have characters that a subject may not have, and different keys different subjects.
func TestSubjects(t *testing.T) {
	seen := map[string]string{}
	for _, key := range []string{"", "k0", "a b", "a.b", "a*", ">", "ü"} {
		for _, s := range []string{setSubject(key), queueSubject(key), registerSubject(key)} {
			if strings.ContainsAny(s, " *>\t") || seen[s] != "" {
				t.Errorf("the subject %q of %q (and %q)", s, key, seen[s])
			}
			seen[s] = "key " + key
		}
	}
}

func TestVersionedOf(t *testing.T) {
	if r, err := versionedOf(nil, 7); r.value != nil || r.revision != 7 || err != nil {
		t.Errorf("a deleted key: %+v, %v", r, err)
	}
	if r, err := versionedOf([]byte("-3"), 7); err != nil || *r.value != -3 {
		t.Errorf("a value: %+v, %v", r, err)
	}
	if r, err := versionedOf([]byte("three"), 7); err == nil {
		t.Errorf("no number: %+v", r)
	}
}

// What clients act on is told by JetStream's numbers; a disk that fails is not a message
// that another client has taken.
func TestErrors(t *testing.T) {
	wrapped := func(code int, words string) error { return fmt.Errorf("n1: %w", &apiError{code, words}) }
	for _, err := range []error{wrapped(noSuchSequence, "sequence 3 not found"), wrapped(deleteFailed, "message not found")} {
		if !gone(err) {
			t.Errorf("%v: it is gone", err)
		}
	}
	for _, err := range []error{nil, errors.New("message not found"), wrapped(deleteFailed, "no space left on device"), wrapped(noStream, "stream not found")} {
		if gone(err) {
			t.Errorf("%v: nobody knows", err)
		}
	}
}
