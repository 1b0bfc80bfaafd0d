package docker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"coup/cluster"
)

// home is a user's folder with settings of Docker, and nothing of this machine's.
func home(t *testing.T, config string) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	for _, v := range []string{"DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "DOCKER_API_VERSION"} {
		t.Setenv(v, "")
	}
	if config != "" {
		put(t, filepath.Join(dir, "config.json"), config)
	}
	return dir
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func id(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}

func putContext(t *testing.T, dir, name, meta string) {
	t.Helper()
	put(t, filepath.Join(dir, "contexts", "meta", id(name), "meta.json"), meta)
}

func TestContexts(t *testing.T) {
	dir := home(t, `{"auths": {}, "currentContext": "colima"}`)
	putContext(t, dir, "colima", `{"Name":"colima","Metadata":{"Description":"colima"},"Endpoints":{"docker":{"Host":"unix:///home/u/.colima/default/docker.sock","SkipTLSVerify":false}}}`)
	putContext(t, dir, "rootless", `{"Name":"rootless","Metadata":{},"Endpoints":{"docker":{"Host":"unix:///run/user/1000/docker.sock"}}}`)
	putContext(t, dir, "far", `{"Name":"far","Metadata":{},"Endpoints":{"docker":{"Host":"ssh://u@far"}}}`)
	putContext(t, dir, "empty", `{"Name":"empty","Metadata":{},"Endpoints":{}}`)
	putContext(t, dir, "broken", `{`)
	putContext(t, dir, "typo", `{"Endpoints":{"docker":{"Host":"unixx:///x"}}}`)
	for _, c := range []struct{ host, context, want, wrong string }{
		{"", "", "unix:///home/u/.colima/default/docker.sock", ""},
		{"", "rootless", "unix:///run/user/1000/docker.sock", ""},
		{"unix:///x", "rootless", "unix:///x", ""}, // as Docker's own command line has it
		{"", "default", "", ""},
		{"", "far", "", "behind ssh"},
		{"", "empty", "", "no address"},
		{"", "broken", "", "no JSON"},
		{"", "typo", "", `"unixx:///x" is no address`},
		{"", "nobody", "", `there is no Docker context "nobody"`},
		{"garbage", "", "", `DOCKER_HOST: "garbage" is no address`},
		{"foo://bar", "", "", `"foo://bar" is no address`},
		{"ssh://u@far", "", "", "behind ssh"},
	} {
		t.Setenv("DOCKER_HOST", c.host)
		t.Setenv("DOCKER_CONTEXT", c.context)
		engine, err := newClient()
		if c.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), c.wrong) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%+v: %v", c, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		if got := engine.DaemonHost(); c.want != "" && got != c.want {
			t.Errorf("%+v: the engine at %s", c, got)
		}
		engine.Close()
	}
}

func TestBrokenSettings(t *testing.T) {
	home(t, `{"currentContext": `)
	if _, err := newClient(); err == nil || !strings.Contains(err.Error(), "config.json is no JSON") {
		t.Error(err)
	}
	for _, config := range []string{"", "{}", `{"currentContext": "default"}`} {
		home(t, config)
		if c, err := newClient(); err != nil {
			t.Errorf("%q: %v", config, err)
		} else {
			c.Close()
		}
	}
}

// A context whose engine is asked over TLS, with a certificate that nobody has signed.
func TestContextWithTLS(t *testing.T) {
	engine := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		if strings.HasSuffix(r.URL.Path, "/version") {
			w.Write([]byte(`{"Version":"1.2.3","ApiVersion":"1.41","Os":"linux","Arch":"amd64"}`))
		}
	}))
	defer engine.Close()
	host := strings.Replace(engine.URL, "https", "tcp", 1)
	dir := home(t, `{"currentContext": "secure"}`)
	putContext(t, dir, "secure", `{"Endpoints":{"docker":{"Host":"`+host+`","SkipTLSVerify":true}}}`)
	e, err := Connect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if e.Version != "1.2.3" {
		t.Errorf("version %s", e.Version)
	}
	e.Close()
	// With verification it is refused, with a reason in one line.
	putContext(t, dir, "secure", `{"Endpoints":{"docker":{"Host":"`+host+`"}}}`)
	put(t, filepath.Join(dir, "contexts", "tls", id("secure"), "docker", "ca.pem"), "no certificate")
	if _, err := Connect(context.Background()); !errors.Is(err, cluster.ErrUnavailable) || strings.Contains(err.Error(), "\n") {
		t.Errorf("an authority that is none: %v", err)
	}
}

// Each thing that can be wrong with an engine has a reason of its own, in one line.
func TestReasons(t *testing.T) {
	home(t, "")
	dir := t.TempDir()
	closed := filepath.Join(dir, "closed.sock") // an engine that was there
	l, err := net.Listen("unix", closed)
	if err != nil {
		t.Skip(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	talker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte(`{"Version":"1","ApiVersion":"1.41","Os":"windows","Arch":"amd64"}`))
	}))
	defer talker.Close()
	for host, want := range map[string]string{
		"unix://" + filepath.Join(dir, "none.sock"):   "none.sock: start it",
		"unix://" + closed:                            "closed.sock: start it",
		"tcp://127.0.0.1:1":                           "no Docker engine answers at tcp://127.0.0.1:1",
		"tcp://nowhere.invalid:2375":                  "can't be reached",
		strings.Replace(talker.URL, "http", "tcp", 1): "runs windows containers",
	} {
		t.Setenv("DOCKER_HOST", host)
		_, err := Connect(context.Background())
		if !errors.Is(err, cluster.ErrUnavailable) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// What an engine says of somebody's permissions is not taken for coup's own.
func TestPermissionsOfOthers(t *testing.T) {
	err := explain(errors.New("OCI runtime create failed: mount /proc: permission denied"), "unix:///x")
	if strings.Contains(err.Error(), "group docker") {
		t.Error(err)
	}
}

func TestStatic(t *testing.T) {
	if err := isStatic(strings.NewReader("MZ")); err == nil || !strings.Contains(err.Error(), "no program of Linux") {
		t.Error(err)
	}
}
