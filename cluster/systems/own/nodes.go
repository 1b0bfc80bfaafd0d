package own

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"coup/cluster"
)

// service is a service of a compose file: one node, or several that are alike.
type service struct {
	name   string
	nodes  int
	pod    cluster.Pod // of each of its nodes
	health []string    // a command that ends with 0 when a node is healthy; nil: there is none
	build  *build      // how its image is made; nil: the engine has it
}

// build is a directory that an image is built from.
type build struct {
	Context, Dockerfile, Target string
	Args                        []string // NAME=value
}

// usual are the capabilities of the kernel that a service has unless cap_drop takes them
// away: those of Docker's own that can't undo a fault.
var usual = []string{"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"}

// undoing are those with which a node could undo a fault, or get around it.
var undoing = []string{"ALL", "NET_ADMIN", "NET_RAW", "SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "SYS_RAWIO"}

// servicesOf are the services of a project in the order in which they start, and notes on
// what has no effect. An error has a line for each thing that coup can't carry out.
func (s Source) servicesOf(p *types.Project) (all []service, notes []string, err error) {
	volumes := map[string]string{} // named volume -> service
	var refusals []error
	refuse := func(format string, args ...any) { refusals = append(refusals, fmt.Errorf(format, args...)) }
	for _, kind := range []struct {
		what  string
		value any
		keys  keys
	}{{"networks", p.Networks, known.network}, {"volumes", p.Volumes, known.volume}, {"configs", p.Configs, known.config}, {"secrets", p.Secrets, known.config}} {
		m, err := asJSON(kind.value)
		if err == nil {
			err = keys{"*": kind.keys}.check(kind.what, m)
		}
		if err != nil {
			refuse("%w", err)
		}
	}
	names, err := order(p)
	if err != nil {
		return nil, nil, err
	}
	var network []string
	for i, name := range names {
		c := p.Services[name]
		at := "services." + name
		m, err := asJSON(c)
		if err != nil {
			return nil, nil, err
		}
		for _, key := range slices.Sorted(maps.Keys(harmless)) {
			if !empty(m[key]) {
				notes = append(notes, fmt.Sprintf("%s.%s has no effect: %s", at, key, harmless[key]))
			}
			delete(m, key)
		}
		if err := known.service.check(at, m); err != nil {
			refuse("%w", err)
		}
		in := slices.Sorted(maps.Keys(c.Networks))
		if i == 0 {
			network = in
		} else if !slices.Equal(in, network) {
			refuse("%s.networks can't be carried out: all nodes are in one network, as other services are: leave networks out", at)
		}
		one, err := s.serviceOf(p, c, at)
		if err != nil {
			refuse("%w", err)
		}
		for _, v := range c.Volumes {
			if v.Type != types.VolumeTypeVolume || v.Source == "" {
				continue
			}
			if other := volumes[v.Source]; other != "" && other != name {
				refuse("%s.volumes: %s also has the volume %s, and nodes share no disk", at, other, v.Source)
			}
			volumes[v.Source] = name
		}
		all = append(all, one)
	}
	if len(all) == 0 {
		refuse("services: there is none")
	}
	if len(refusals) > 0 {
		return nil, nil, errors.Join(refusals...)
	}
	return all, notes, nil
}

// order is the order in which the services start.
func order(p *types.Project) (names []string, err error) {
	var visit func(name string, above []string) error
	visit = func(name string, above []string) error {
		if slices.Contains(above, name) {
			return fmt.Errorf("services.%s.depends_on: it depends on itself", name)
		}
		if slices.Contains(names, name) {
			return nil
		}
		needs := p.Services[name].DependsOn
		for _, other := range slices.Sorted(maps.Keys(needs)) {
			if c := needs[other].Condition; c != "" && c != types.ServiceConditionStarted {
				return fmt.Errorf("services.%s.depends_on.%s.condition can't be carried out: coup starts nodes in this order, and does not wait for %s: write service_started", name, other, c)
			}
			if err := visit(other, append(above, name)); err != nil {
				return err
			}
		}
		names = append(names, name)
		return nil
	}
	for _, name := range p.ServiceNames() {
		if err := visit(name, nil); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// serviceOf is what a service is as nodes.
func (s Source) serviceOf(p *types.Project, c types.ServiceConfig, at string) (one service, err error) {
	one = service{name: c.Name, nodes: c.GetScale()}
	if one.nodes < 1 {
		return one, fmt.Errorf("%s.scale: a service has one node or more, not %d", at, one.nodes)
	}
	if c.Deploy != nil && c.Deploy.Mode != "" && c.Deploy.Mode != "replicated" {
		return one, fmt.Errorf("%s.deploy.mode is replicated, not %s", at, c.Deploy.Mode)
	}
	box := cluster.Container{
		Name: "main", Image: c.Image, Entrypoint: c.Entrypoint, Args: c.Command, User: c.User, WorkDir: c.WorkingDir,
		StopSignal: c.StopSignal, Writable: !c.ReadOnly, Memory: int64(c.MemLimit), Pids: c.PidsLimit,
	}
	if c.Deploy != nil && c.Deploy.Resources.Limits != nil {
		box.Memory, box.Pids = cmp.Or(box.Memory, int64(c.Deploy.Resources.Limits.MemoryBytes)), cmp.Or(box.Pids, c.Deploy.Resources.Limits.Pids)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Environment)) {
		if v := c.Environment[name]; v != nil { // one without a value is taken from coup's own environment, if it is there
			box.Env = append(box.Env, name+"="+*v)
		}
	}
	if box.Capabilities, err = capabilities(c); err != nil {
		return one, fmt.Errorf("%s.%w", at, err)
	}
	for _, dir := range c.Tmpfs {
		if path, _, _ := strings.Cut(dir, ":"); path != "/tmp" {
			return one, fmt.Errorf("%s.tmpfs can't be carried out: a node has /tmp in memory, and no other directory", at)
		}
	}
	if one.build, err = s.buildOf(c, at); err != nil {
		return one, err
	}
	if one.build != nil {
		box.Image = cmp.Or(c.Image, "coup-own/"+p.Name+"-"+c.Name)
	}
	if box.Image == "" {
		return one, fmt.Errorf("%s has neither image nor build", at)
	}
	one.pod.Containers = []cluster.Container{box}
	if one.pod.Ports, err = ports(c); err != nil {
		return one, fmt.Errorf("%s.%w", at, err)
	}
	if err := s.place(&one.pod, p, c); err != nil {
		return one, fmt.Errorf("%s.%w", at, err)
	}
	if err := one.pod.Check(); err != nil {
		return one, fmt.Errorf("%s: %w (read_only: false lets it be anywhere)", at, err)
	}
	if h := c.HealthCheck; h != nil && !h.Disable && len(h.Test) > 0 {
		switch kind := h.Test[0]; {
		case kind == "CMD" && len(h.Test) > 1:
			one.health = h.Test[1:]
		case kind == "CMD-SHELL" && len(h.Test) == 2:
			one.health = []string{"/bin/sh", "-c", h.Test[1]}
		case kind != "NONE":
			return one, fmt.Errorf("%s.healthcheck.test begins with CMD, CMD-SHELL or NONE, not %q", at, kind)
		}
	}
	return one, nil
}

// capabilities are those of the kernel.
func capabilities(c types.ServiceConfig) ([]string, error) {
	plain := func(name string) string { return strings.TrimPrefix(strings.ToUpper(name), "CAP_") }
	all := slices.Clone(usual)
	for _, name := range c.CapDrop {
		if plain(name) == "ALL" {
			all = nil
		}
		all = slices.DeleteFunc(all, func(has string) bool { return has == plain(name) })
	}
	for _, name := range c.CapAdd {
		if slices.Contains(undoing, plain(name)) {
			return nil, fmt.Errorf("cap_add: with %s, a node could undo what coup cuts: leave it out", name)
		}
		if !slices.Contains(all, plain(name)) {
			all = append(all, plain(name))
		}
	}
	return all, nil
}

// ports are those for clients (ports), which coup publishes where the engine likes, and
// those for peers (expose). A port is called by its number.
func ports(c types.ServiceConfig) (all []cluster.Port, err error) {
	add := func(number int, peers bool) {
		if !slices.ContainsFunc(all, func(p cluster.Port) bool { return p.Number == number }) {
			all = append(all, cluster.Port{Name: strconv.Itoa(number), Number: number, Peers: peers})
		}
	}
	for _, p := range c.Ports {
		if p.Protocol != "" && p.Protocol != "tcp" {
			return nil, fmt.Errorf("ports: clients use TCP, not %s", p.Protocol)
		}
		add(int(p.Target), false)
	}
	for _, text := range c.Expose {
		number, protocol, _ := strings.Cut(text, "/")
		if protocol != "" && protocol != "tcp" {
			continue // peers may use what they like
		}
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 || n > 65535 {
			return nil, fmt.Errorf("expose: %q is no port", text)
		}
		add(n, true)
	}
	return all, nil
}

// place adds what a node finds on its disk.
func (s Source) place(pod *cluster.Pod, p *types.Project, c types.ServiceConfig) error {
	for _, v := range c.Volumes {
		to := path.Clean(v.Target)
		switch v.Type {
		case types.VolumeTypeVolume:
			if v.ReadOnly {
				return fmt.Errorf("volumes: a volume that nobody can write to (%s) holds nothing: leave read_only out", to)
			}
			pod.Data = append(pod.Data, cluster.Dir{Path: to, Filled: true})
		case types.VolumeTypeBind:
			from := filepath.ToSlash(filepath.Clean(v.Source))
			if f, ok := s.Files[from]; ok {
				pod.Files = append(pod.Files, cluster.File{Path: to, Content: []byte(f.Text), Mode: f.Mode})
				continue
			}
			pod.Data = append(pod.Data, cluster.Dir{Path: to})
			for _, name := range slices.Sorted(maps.Keys(s.Files)) {
				if under, ok := strings.CutPrefix(name, strings.TrimSuffix(from, "/")+"/"); ok {
					f := s.Files[name]
					pod.Files = append(pod.Files, cluster.File{Path: path.Join(to, under), Content: []byte(f.Text), Mode: f.Mode})
				}
			}
		case types.VolumeTypeTmpfs:
			if to != "/tmp" {
				return fmt.Errorf("volumes: a node has /tmp in memory, and no other directory such as %s", to)
			}
		default:
			return fmt.Errorf("volumes: the type %s can't be carried out: use volume or bind", v.Type)
		}
	}
	given := func(key, below string, ref types.FileReferenceConfig, object types.FileObjectConfig, there bool) error {
		text := object.Content
		switch f, ok := s.Files[filepath.ToSlash(filepath.Clean(object.File))]; {
		case !there || bool(object.External):
			return fmt.Errorf("%s: there is no %s: give it a file or content", key, ref.Source)
		case object.File != "" && !ok:
			return fmt.Errorf("%s: %s is no file", key, object.File)
		case object.File != "":
			text = f.Text
		}
		to := cmp.Or(ref.Target, ref.Source)
		if !path.IsAbs(to) {
			to = path.Join(below, to)
		}
		file := cluster.File{Path: path.Clean(to), Content: []byte(text)}
		if ref.Mode != nil {
			file.Mode = fs.FileMode(*ref.Mode)
		}
		var err error
		for id, text := range map[*int]string{&file.UID: ref.UID, &file.GID: ref.GID} {
			if text != "" {
				if *id, err = strconv.Atoi(text); err != nil {
					return fmt.Errorf("%s: uid and gid are numbers, not %q", key, text)
				}
			}
		}
		pod.Files = append(pod.Files, file)
		return nil
	}
	for _, ref := range c.Configs {
		object, ok := p.Configs[ref.Source]
		if err := given("configs", "/", types.FileReferenceConfig(ref), types.FileObjectConfig(object), ok); err != nil {
			return err
		}
	}
	for _, ref := range c.Secrets {
		object, ok := p.Secrets[ref.Source]
		if err := given("secrets", "/run/secrets", types.FileReferenceConfig(ref), types.FileObjectConfig(object), ok); err != nil {
			return err
		}
	}
	return nil
}

// buildOf is how a service's image is built.
func (s Source) buildOf(c types.ServiceConfig, at string) (*build, error) {
	if c.Build == nil {
		return nil, nil
	}
	if strings.Contains(c.Build.Context, "://") {
		return nil, fmt.Errorf("%s.build.context is a directory, not %s", at, c.Build.Context)
	}
	b := &build{Context: filepath.Join(s.Base, c.Build.Context), Dockerfile: cmp.Or(c.Build.Dockerfile, "Dockerfile"), Target: c.Build.Target}
	if filepath.IsAbs(c.Build.Context) {
		b.Context = c.Build.Context
	}
	for _, name := range slices.Sorted(maps.Keys(c.Build.Args)) {
		if v := c.Build.Args[name]; v != nil {
			b.Args = append(b.Args, name+"="+*v)
		}
	}
	return b, nil
}
