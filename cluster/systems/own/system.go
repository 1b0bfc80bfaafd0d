// Package own makes a system of a compose file and a client program: how a person tests a
// system of their own without a line of Go. docs/10-your-own.md is for that person.
//
// [Read] takes a compose file with all that it names and refuses what coup can't carry
// out; [New] makes the system. Each service is a node, or several if it is scaled. Package
// line is the protocol between coup and the client.
package own

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/goccy/go-yaml"

	"coup/cluster"
	"coup/cluster/systems"
	"coup/cluster/systems/own/line"
	"coup/images"
)

// Client is the client program, and what the plan says beside the compose file.
type Client struct {
	line.Command
	Leader string // a command that ends with 0 on the node that leads; "": see x-coup in the compose file
}

// System is a system made of a compose file. It implements cluster.Named, cluster.Grouped,
// cluster.Local, cluster.Readiness and cluster.Timed; [New] may return one that can tell more.
type System struct {
	name     string
	services []service
	settings settings
	client   Client
	leads    *leader // nil: nobody knows
	notes    []string
}

// settings are the section x-coup of a compose file.
type settings struct {
	Leader *Leader `yaml:"leader"`
	Timing timing  `yaml:"timing"`
}

// timing is a cluster.Timing; zero values are the harness's own.
type timing struct {
	Start    time.Duration `yaml:"start"`
	Restart  time.Duration `yaml:"restart"`
	Failover time.Duration `yaml:"failover"`
	Election time.Duration `yaml:"election"`
}

// New makes a system. The error says what is wrong with the source, by its key.
func New(s Source, c Client) (*System, error) {
	quiet()
	p, err := loader.LoadWithContext(context.Background(), types.ConfigDetails{
		WorkingDir: cmp.Or(s.Base, "."), ConfigFiles: []types.ConfigFile{{Filename: "compose.yaml", Content: []byte(s.Compose)}},
	}, func(o *loader.Options) {
		o.SkipInterpolation, o.SkipResolveEnvironment, o.ResolvePaths, o.SkipExtends, o.SkipInclude = true, true, false, true, true
		o.SetProjectName("own", false)
	})
	if err != nil {
		return nil, composeError("compose.yaml", err)
	}
	sys := &System{name: p.Name, client: c}
	if sys.services, sys.notes, err = s.servicesOf(p); err != nil {
		return nil, err
	}
	if x, ok := p.Extensions["x-coup"]; ok {
		text, err := yaml.Marshal(x)
		if err == nil {
			err = yaml.UnmarshalWithOptions(text, &sys.settings, yaml.Strict())
		}
		if err != nil {
			return nil, fmt.Errorf("x-coup: %s", firstLine(err))
		}
	}
	if c.Leader != "" {
		argv, err := line.Command{Line: c.Leader}.Words()
		if err != nil {
			return nil, fmt.Errorf("leader: %w", err)
		}
		sys.settings.Leader = &Leader{Command: argv}
	}
	if l := sys.settings.Leader; l != nil {
		if sys.leads, err = l.compile(); err != nil {
			return nil, fmt.Errorf("x-coup.leader: %w", err)
		}
	}
	return sys, nil
}

// firstLine is an error of the YAML library without the excerpt from the file.
func firstLine(err error) string {
	var at yaml.Error
	if errors.As(err, &at) {
		return at.GetMessage()
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}

// System is s as what it can tell: who leads, if the compose file says how.
func (s *System) System() cluster.System {
	switch {
	case s.leads == nil:
		return s
	case s.leads.log():
		return logged{polled{s}}
	}
	return polled{s}
}

// Nodes is the number of nodes.
func (s *System) Nodes() (n int) {
	for _, one := range s.services {
		n += one.nodes
	}
	return n
}

// Name implements cluster.System: the name of the compose project.
func (s *System) Name() string { return s.name }

// Names implements cluster.Named: a node is called as its service, or service-1,
// service-2, ... if there are several.
func (s *System) Names(int, cluster.Options) (all []string) {
	for _, one := range s.services {
		for i := range one.nodes {
			if one.nodes == 1 {
				all = append(all, one.name)
			} else {
				all = append(all, fmt.Sprintf("%s-%d", one.name, i+1))
			}
		}
	}
	return all
}

// Roles implements cluster.Grouped: the services, in the order in which they start.
func (s *System) Roles(int, cluster.Options) (all []cluster.Role) {
	for _, one := range s.services {
		all = append(all, cluster.Role{Name: one.name, Nodes: one.nodes})
	}
	return all
}

// Check implements cluster.System.
func (s *System) Check(o cluster.Options) error {
	names := s.Names(0, o)
	slices.Sort(names)
	for i, name := range names {
		if i > 0 && names[i-1] == name {
			return fmt.Errorf("two nodes would be called %s: call a service differently", name)
		}
	}
	switch {
	case o.Version != "" || o.Bug != "" || o.Reads != "" || len(o.Settings) > 0:
		return errors.New("a system of a compose file has no versions, bugs, modes of reads or settings of coup's: edit the compose file")
	case len(s.serving()) == 0:
		return errors.New("no service has ports: clients need one that is published, such as ports: [\"6379\"]")
	}
	return s.client.Check()
}

// serving are the services that clients talk to.
func (s *System) serving() (all []service) {
	for _, one := range s.services {
		if clientPort(one.pod) != "" {
			all = append(all, one)
		}
	}
	return all
}

// clientPort is the first port for clients, or "".
func clientPort(p cluster.Pod) string {
	for _, port := range p.Ports {
		if !port.Peers {
			return port.Name
		}
	}
	return ""
}

// of is the service of a node.
func (s *System) of(role string) service {
	for _, one := range s.services {
		if one.name == role {
			return one
		}
	}
	return s.services[0]
}

// Pod implements cluster.System.
func (s *System) Pod(node cluster.Node, _ []cluster.Node, _ cluster.Options) cluster.Pod {
	return s.of(node.Role).pod
}

// Local implements cluster.Local: what the compose file says of its images. A name of a
// system that coup has a recipe for, with or without a release, is that recipe where the
// engine has no image of that name.
func (s *System) Local() (all []cluster.LocalImage) {
	for _, one := range s.services {
		image := cluster.LocalImage{Reference: one.pod.Containers[0].Image}
		if slices.ContainsFunc(all, func(other cluster.LocalImage) bool { return other.Reference == image.Reference }) {
			continue
		}
		if b := one.build; b != nil {
			image.Context, image.Dockerfile, image.Target, image.Args = b.Context, b.Dockerfile, b.Target, b.Args
		} else {
			image.Recipe = recipe(image.Reference)
		}
		all = append(all, image)
	}
	return all
}

// recipe is how coup makes an image of that name; nil if it can't.
func recipe(reference string) *images.Recipe {
	name, version, _ := strings.Cut(strings.TrimPrefix(reference, "coup/"), ":")
	sys, err := systems.Find(name)
	if err != nil {
		return nil
	}
	i, ok := sys.(cluster.Imaged)
	if !ok {
		return nil
	}
	all, err := i.Images(cluster.Options{Version: version})
	if err != nil || len(all) != 1 {
		return nil
	}
	return &all[0]
}

// Timing implements cluster.Timed.
func (s *System) Timing(cluster.Options) cluster.Timing {
	t := s.settings.Timing
	return cluster.Timing{Start: t.Start, Restart: t.Restart, Failover: t.Failover, Election: t.Election}
}

// openPatience is for a connection to a port, which may have to wait for a server that says
// nothing.
const openPatience = 300 * time.Millisecond

// Ready implements cluster.Readiness: every port for clients is open, every health check of
// the compose file succeeds, and somebody leads, if anybody can tell.
func (s *System) Ready(ctx context.Context, a cluster.Access, _ cluster.Options) error {
	for _, n := range a.Nodes() {
		one := s.of(n.Role)
		for _, p := range one.pod.Ports {
			if p.Peers {
				continue
			}
			if err := accepts(ctx, a, n.Name, p.Name, openPatience); err != nil {
				return fmt.Errorf("the port %s of %s is not open: %w", p.Name, n.Name, err)
			}
		}
		if one.health != nil {
			if _, err := a.Exec(ctx, n.Name, "", one.health...); err != nil {
				return fmt.Errorf("the health check of %s: %w", n.Name, err)
			}
		}
	}
	if s.leads == nil {
		return nil
	}
	var leaders []string
	for _, n := range a.Nodes() {
		status, err := s.leads.status(ctx, a, n.Name)
		if err == nil && status.Role == leading {
			leaders = append(leaders, n.Name)
		}
		if errors.Is(err, cluster.ErrNoProgram) {
			return fmt.Errorf("who leads can't be found out: %w", err)
		}
	}
	switch nodes := len(a.Nodes()); {
	case len(leaders) == nodes && nodes > 1 && !s.leads.log(): // a line may be old
		return fmt.Errorf("x-coup.leader of the compose file says of every node that it leads (%s): either it is true of followers too, or the nodes know nothing of each other", strings.Join(leaders, ", "))
	case len(leaders) > 0:
		return nil
	}
	return fmt.Errorf("no node leads, as far as x-coup.leader of the compose file can tell (%s)", s.leads.nobody(a.Nodes()))
}

func accepts(ctx context.Context, a cluster.Access, node, port string, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return cluster.Accepts(ctx, a, node, port)
}
