package docker

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"github.com/docker/docker/client"
)

// contextFiles is where Docker's command line keeps its settings and its contexts,
// which name engines: Docker Desktop, Colima and rootless Docker each make one and
// make it the current one. See https://docs.docker.com/engine/manage-resources/contexts/.
// Tests have files of their own.
type contextFiles struct{ dir string }

// dockerFiles are the user's.
func dockerFiles() (contextFiles, error) {
	if dir := os.Getenv("DOCKER_CONFIG"); dir != "" {
		return contextFiles{dir}, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return contextFiles{}, err
	}
	return contextFiles{filepath.Join(home, ".docker")}, nil
}

// defaultContext is the context that has no files: DOCKER_HOST, or the local engine.
const defaultContext = "default"

// current returns the name of the context in use, as Docker's command line finds it:
// DOCKER_HOST, DOCKER_CONTEXT, the current one, in this order.
func (f contextFiles) current() (name string, err error) {
	if os.Getenv(client.EnvOverrideHost) != "" {
		return defaultContext, nil
	}
	if name := os.Getenv("DOCKER_CONTEXT"); name != "" {
		return name, nil
	}
	text, err := os.ReadFile(filepath.Join(f.dir, "config.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return defaultContext, nil
	}
	if err != nil {
		return "", fmt.Errorf("find the current Docker context: %w", err)
	}
	var config struct {
		CurrentContext string `json:"currentContext"`
	}
	if err := json.Unmarshal(text, &config); err != nil {
		return "", fmt.Errorf("find the current Docker context: %s is no JSON: %w", filepath.Join(f.dir, "config.json"), err)
	}
	if config.CurrentContext == "" {
		return defaultContext, nil
	}
	return config.CurrentContext, nil
}

// options returns how to reach the engine of a context.
func (f contextFiles) options(name string) ([]client.Opt, error) {
	sum := sha256.Sum256([]byte(name))
	id := hex.EncodeToString(sum[:])
	text, err := os.ReadFile(filepath.Join(f.dir, "contexts", "meta", id, "meta.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no Docker context %q: docker context ls lists those there are", name)
	}
	if err != nil {
		return nil, fmt.Errorf("the Docker context %q: %w", name, err)
	}
	var meta struct {
		Endpoints map[string]struct {
			Host          string
			SkipTLSVerify bool
		}
	}
	if err := json.Unmarshal(text, &meta); err != nil {
		return nil, fmt.Errorf("the Docker context %q: its meta.json is no JSON: %w", name, err)
	}
	at := meta.Endpoints["docker"]
	if err := isAddress(at.Host); err != nil {
		return nil, fmt.Errorf("the Docker context %q: %w", name, err)
	}
	opts := []client.Opt{client.WithHost(at.Host), client.WithVersionFromEnv()}
	file := func(name string) string {
		path := filepath.Join(f.dir, "contexts", "tls", id, "docker", name)
		if _, err := os.Stat(path); err != nil {
			return ""
		}
		return path
	}
	ca, cert, key := file("ca.pem"), file("cert.pem"), file("key.pem")
	if ca != "" || cert != "" || key != "" || at.SkipTLSVerify {
		opts = append(opts, client.WithTLSClientConfig(ca, cert, key))
	}
	if at.SkipTLSVerify {
		opts = append(opts, trustAnyServer)
	}
	return opts, nil
}

// trustAnyServer switches off the check of the server's certificate, if the context asks
// for that.
func trustAnyServer(c *client.Client) error {
	if t, ok := c.HTTPClient().Transport.(*http.Transport); ok && t.TLSClientConfig != nil {
		t.TLSClientConfig = &tls.Config{Certificates: t.TLSClientConfig.Certificates, RootCAs: t.TLSClientConfig.RootCAs, InsecureSkipVerify: true}
	}
	return nil
}

// isAddress fails for a host that is no address of an engine.
func isAddress(host string) error {
	at, err := client.ParseHostURL(host)
	if err != nil || !slices.Contains([]string{"unix", "npipe", "tcp", "http", "https", "ssh"}, at.Scheme) {
		return fmt.Errorf("%q is no address of an engine, such as %s", host, client.DefaultDockerHost)
	}
	if at.Scheme == "ssh" {
		return fmt.Errorf("the engine is behind ssh (%s), and coup needs one that publishes ports on this machine", host)
	}
	return nil
}

// newClient returns a client of the engine that the environment names.
func newClient() (*client.Client, error) {
	files, err := dockerFiles()
	if err != nil {
		return nil, err
	}
	name, err := files.current()
	if err != nil {
		return nil, err
	}
	opts := []client.Opt{client.FromEnv}
	if name != defaultContext {
		if opts, err = files.options(name); err != nil {
			return nil, err
		}
	} else if host := os.Getenv(client.EnvOverrideHost); host != "" {
		if err := isAddress(host); err != nil {
			return nil, fmt.Errorf("DOCKER_HOST: %w; unset it to use the local engine", err)
		}
	}
	c, err := client.NewClientWithOpts(append(opts, client.WithAPIVersionNegotiation())...)
	if err != nil {
		return nil, fmt.Errorf("docker: %w", err)
	}
	return c, nil
}
