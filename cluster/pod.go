package cluster

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Node is one member of a cluster, as its peers see it.
type Node struct {
	Name string // n1, n2, ...
	Host string // the name or address that reaches it from the other nodes
	Role string // of a [Grouped] system; "": all are alike
}

// Pod describes a node as data, so that any backend can run it: containers that share
// one address, one process namespace and the directories for data.
type Pod struct {
	// Containers are started in this order and stopped in the opposite one.
	Containers []Container
	Ports      []Port
	Data       []Dir    // directories that outlive the processes
	Files      []File   // written before the containers start
	Logs       []string // files within Data that are read beside the output, as they grow
	// Sealed are the files in Data (as patterns of package path) whose checksums the
	// program verifies when it starts: a flipped bit in them makes it end.
	Sealed []string
}

// Container is one program of a pod.
type Container struct {
	Name string // unique within the pod
	// Image is the name of a recipe of [Imaged], or any reference that the engine
	// knows; "": coup's own binary, with Args as the arguments of the bundled node.
	Image string
	// Variant is which of coup's own programs a simulated machine runs: each has only what it
	// needs. "" is the usual one; TLS has crypto/tls as well.
	Variant    string
	Entrypoint []string // nil: the image's own
	Args       []string // nil: the image's own
	Env        []string // NAME=value
	WorkDir    string   // where it starts; "": the image's own
	User       string   // a name or UID, or with a group user:group; "": the image's own
	// Capabilities of the kernel that the program needs, e.g. "SETUID"; usually none.
	Capabilities []string
	Memory       int64  // bytes; 0: 1 GiB
	Pids         int64  // processes and threads; 0: 512
	StopSignal   string // the signal of a clean stop, e.g. "SIGINT"; "": the image's own, or else SIGTERM
	Writable     bool   // the root file system can be written to; usually only Data and /tmp can
}

// TLS is a [Container.Variant].
const TLS = "tls"

// Port is a port of a pod.
type Port struct {
	Name   string // what Access.Dial calls it
	Number int
	// Peers: only the other nodes use it; clients have no way to it.
	Peers bool
}

// Dir is a directory for data.
type Dir struct {
	Path     string
	UID, GID int         // the owner
	Mode     fs.FileMode // 0: 0755
	Filled   bool        // in the beginning, it holds what the image has there, and has the owner of that
}

// File is a file that a node finds when it starts.
type File struct {
	Path     string // within one of Pod.Data, or anywhere if the containers are Writable
	Content  []byte
	UID, GID int
	Mode     fs.FileMode // 0: 0644
	// Once: the file is the system's own after the first start. Others are written
	// anew before every start.
	Once bool
}

// Port returns the port of that name; its error says which there are.
func (p Pod) Port(name string) (Port, error) {
	var names []string
	for _, port := range p.Ports {
		if port.Name == name {
			return port, nil
		}
		names = append(names, port.Name)
	}
	return Port{}, fmt.Errorf("there is no port %q (there is %s)", name, strings.Join(names, ", "))
}

// Bundled reports whether the pod is one program of coup's own binary: what
// simulated machines can run.
func (p Pod) Bundled() bool {
	return len(p.Containers) == 1 && p.Containers[0].Image == ""
}

// Check says what is wrong with a description.
func (p Pod) Check() error {
	if len(p.Containers) == 0 {
		return fmt.Errorf("a pod needs a container")
	}
	var names []string
	for _, c := range p.Containers {
		if c.Name == "" || slices.Contains(names, c.Name) {
			return fmt.Errorf("the containers of a pod need different names, not %q twice or none", c.Name)
		}
		names = append(names, c.Name)
	}
	for _, d := range p.Data {
		if !path.IsAbs(d.Path) || path.Clean(d.Path) != d.Path || d.Path == "/" {
			return fmt.Errorf("%q is no absolute path of a directory for data", d.Path)
		}
	}
	for _, f := range p.Files {
		switch {
		case p.DataOf(f.Path) != "":
		case slices.ContainsFunc(p.Containers, func(c Container) bool { return !c.Writable }):
			return fmt.Errorf("the file %s is in none of the directories for data", f.Path)
		case !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || f.Path == "/":
			return fmt.Errorf("%q is no absolute path of a file", f.Path)
		}
	}
	for _, l := range p.Logs {
		if p.DataOf(l) == "" {
			return fmt.Errorf("the log file %s is in none of the directories for data", l)
		}
	}
	return nil
}

// DataOf is the directory for data that a path lies in, or "".
func (p Pod) DataOf(file string) string {
	for _, d := range p.Data {
		if strings.HasPrefix(file, d.Path+"/") {
			return d.Path
		}
	}
	return ""
}
