package own

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// keys are the keys of a part of a compose file: nil below one means that all of it is
// used.
type keys map[string]keys

func leaves(names string) keys {
	all := keys{}
	for name := range strings.FieldsSeq(names) {
		all[name] = nil
	}
	return all
}

// with is k with one more key.
func (k keys) with(name string, below keys) keys {
	k[name] = below
	return k
}

// known are the keys that coup carries out.
var known = struct{ service, volume, network, config keys }{
	service: leaves("image command entrypoint environment expose user working_dir mem_limit pids_limit stop_signal read_only scale cap_add cap_drop tmpfs").
		with("configs", leaves("source target uid gid mode")).
		with("secrets", leaves("source target uid gid mode")).
		with("volumes", leaves("type source target read_only").with("bind", leaves("create_host_path")).with("volume", leaves(""))).
		with("ports", leaves("target published host_ip protocol mode name app_protocol")).
		with("healthcheck", leaves("test interval timeout retries start_period start_interval disable")).
		with("deploy", leaves("replicas mode").with("resources", keys{}.with("limits", leaves("memory pids")))).
		with("build", leaves("context dockerfile args target")).
		with("depends_on", keys{"*": leaves("condition required restart")}).
		with("networks", keys{"*": leaves("")}),
	volume:  leaves("name driver"),
	network: leaves("name driver"),
	config:  leaves("name file content environment"),
}

// harmless are keys of services that change nothing about what a node does, with the reason.
var harmless = map[string]string{
	"labels":            "nobody reads them",
	"annotations":       "nobody reads them",
	"logging":           "what a node writes goes to the run directory",
	"restart":           "coup starts a node again that ends by itself",
	"pull_policy":       "coup pulls nothing",
	"stop_grace_period": "coup waits up to 30 s for a clean stop",
	"init":              "the first process of a node is coup's",
	"stdin_open":        "nobody writes to a node's standard input",
	"tty":               "a node's output is no terminal",
	"attach":            "what a node writes goes to the run directory",
	"develop":           "a run is no development",
}

// refused says what to do about some of the keys that coup does not carry out.
var refused = map[string]string{
	"container_name": "coup names the containers, and nodes find each other by the names of services: leave it out",
	"hostname":       "a node is called as its service: leave it out",
	"network_mode":   "each node has a network of its own, which coup cuts: leave it out",
	"privileged":     "a node must not be able to undo what coup cuts: name what it needs in cap_add",
	"env_file":       "write the variables under environment",
	"links":          "nodes find each other by the names of services: leave it out",
	"cpus":           "the nodes share the processors: leave it out",
}

// check returns an error for each key of value, which is JSON at path, that is not
// among k, a line each. Keys without a value are none.
func (k keys) check(path string, value any) error {
	var all []error
	switch v := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if empty(v[name]) || strings.HasPrefix(name, "x-") {
				continue
			}
			below, ok := k[name]
			if any, all := k["*"]; !ok && all {
				below, ok = any, true
			}
			at := path + "." + name
			if !ok {
				why, told := refused[name]
				if !told {
					why = "leave it out"
				}
				all = append(all, fmt.Errorf("%s can't be carried out: %s", at, why))
				continue
			}
			if below != nil {
				all = append(all, below.check(at, v[name]))
			}
		}
	case []any:
		for _, one := range v {
			all = append(all, k.check(path, one))
		}
	}
	return errors.Join(all...)
}

// empty reports whether a value says nothing.
func empty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case float64:
		return v == 0
	case map[string]any:
		for _, one := range v {
			if !empty(one) {
				return false
			}
		}
		return true
	case []any:
		return len(v) == 0
	}
	return false
}

// asJSON is a value of the compose library as JSON holds it.
func asJSON(value any) (m map[string]any, err error) {
	b, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	return m, err
}
