package plan

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"coup/cluster"
	"coup/cluster/systems"
	"coup/cluster/systems/own"
	"coup/cluster/systems/own/line"
)

// FindSystem is the system that the plan tests: one that coup knows by name, or one that is
// made of the compose file. Each call makes a new one of that.
func (p *Plan) FindSystem() (cluster.System, error) {
	if p.Own == nil {
		return systems.Find(p.System)
	}
	sys, err := own.New(*p.Own, own.Client{Command: line.Command{Line: p.Client, Dir: p.Dir}, Leader: p.Leader})
	if err != nil {
		return nil, err
	}
	return sys.System(), nil
}

// readCompose reads the plan's compose file, if there is one that was not read yet.
func (p *Plan) readCompose() error {
	if p.Compose == "" && p.Own == nil {
		if p.Client != "" || p.Leader != "" {
			return fmt.Errorf("a client or leader command is for a system of a compose file (--compose), and %s is none", p.System)
		}
		return nil
	}
	if p.Client == "" {
		return errors.New("a compose file needs a client: --client 'python3 client.py'")
	}
	if p.Own == nil {
		source, err := own.Read(context.Background(), p.Compose)
		if err != nil {
			return err
		}
		p.Own = &source
	}
	sys, err := own.New(*p.Own, own.Client{})
	if err != nil {
		return err
	}
	p.Nodes = sys.Nodes()
	if p.Dir == "" {
		if p.Dir, err = filepath.Abs("."); err != nil {
			return err
		}
	}
	return nil
}

// beside makes the paths of a plan that was read from a file those that the file means: it
// speaks of what lies beside it.
func (p *Plan) beside(file string) error {
	if p.Compose == "" || p.Own != nil {
		return nil
	}
	dir, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return err
	}
	if !filepath.IsAbs(p.Compose) {
		p.Compose = filepath.Join(filepath.Dir(file), p.Compose)
	}
	if !filepath.IsAbs(p.Dir) {
		p.Dir = filepath.Join(dir, p.Dir)
	}
	return nil
}
