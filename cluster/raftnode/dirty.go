package raftnode

import "sync"

// proposals holds the newest write of each register that this node proposed
// and that is not committed yet. Only dirty-read looks at it.
type proposals struct {
	mu    sync.Mutex
	byKey map[string]command
}

func (p *proposals) note(c command) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byKey == nil {
		p.byKey = map[string]command{}
	}
	p.byKey[c.Key] = c
}

// forget drops c when its fate is known.
func (p *proposals) forget(c command) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at, ok := p.byKey[c.Key]; ok && at.Client == c.Client && at.Seq == c.Seq {
		delete(p.byKey, c.Key)
	}
}

func (p *proposals) newest(key string) (int64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.byKey[key]
	return c.Value, ok
}
