package own

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"coup/cluster"
	"coup/harness"
)

// Leader says how to find out whether a node leads. Exactly one of Command, HTTP and Log is
// given.
type Leader struct {
	// Command is run within each node. A node leads if it ends with 0 and, if there is a
	// pattern, its output matches that.
	Command []string `yaml:"command"`
	Pattern string   `yaml:"pattern"`
	// HTTP is asked of each node. A node leads if it answers with 200 and a body that
	// matches the pattern.
	HTTP *struct {
		Port    int    `yaml:"port"`
		Path    string `yaml:"path"`
		Pattern string `yaml:"pattern"`
	} `yaml:"http"`
	// Log are patterns of lines that a node writes when it begins to lead and to follow.
	Log *struct {
		Leads   string `yaml:"leads"`
		Follows string `yaml:"follows"`
	} `yaml:"log"`
}

// The roles that a node is in.
const (
	leading   = "leader"
	following = "follower"
)

// leader is a Leader that can be asked.
type leader struct {
	command        []string
	port           int
	path           string
	pattern        *regexp.Regexp // of an output or a body; nil: all match
	leads, follows *regexp.Regexp // of lines

	asked asked // by commands and HTTP

	mu   sync.Mutex
	said map[string]cluster.Status // by node: what its newest line says; only with lines
	why  map[string]string         // by node: why it was not said to lead, when it was asked last
	last uint64
}

// log reports whether lines tell who leads.
func (l *leader) log() bool { return l.leads != nil }

// compile says what is wrong with the description.
func (l Leader) compile() (*leader, error) {
	ways := 0
	for _, given := range []bool{len(l.Command) > 0, l.HTTP != nil, l.Log != nil} {
		if given {
			ways++
		}
	}
	if ways != 1 || l.Pattern != "" && len(l.Command) == 0 {
		return nil, errors.New("it is told by exactly one of command (perhaps with pattern), http and log")
	}
	compiled := &leader{command: l.Command, said: map[string]cluster.Status{}, why: map[string]string{}}
	var err error
	expression := func(key, text string, needed bool) *regexp.Regexp {
		if text == "" && needed && err == nil {
			err = fmt.Errorf("%s: a pattern is missing", key)
		}
		if text == "" || err != nil {
			return nil
		}
		var e *regexp.Regexp
		if e, err = regexp.Compile("(?m)" + text); err != nil {
			err = fmt.Errorf("%s: %w", key, err)
		}
		return e
	}
	switch {
	case l.HTTP != nil:
		if l.HTTP.Port < 1 || l.HTTP.Port > 65535 || l.HTTP.Path == "" || l.HTTP.Path[0] != '/' {
			return nil, errors.New("http: it needs a port, which is among the service's ports, and a path such as /leader")
		}
		compiled.port, compiled.path = l.HTTP.Port, l.HTTP.Path
		compiled.pattern = expression("http.pattern", l.HTTP.Pattern, false)
	case l.Log != nil:
		compiled.leads = expression("log.leads", l.Log.Leads, true)
		compiled.follows = expression("log.follows", l.Log.Follows, true)
	default:
		compiled.pattern = expression("pattern", l.Pattern, false)
	}
	return compiled, err
}

// status asks a node whether it leads.
func (l *leader) status(ctx context.Context, a cluster.Access, node string) (cluster.Status, error) {
	if l.log() {
		return l.heard(node)
	}
	return l.asked.ask(ctx, node, func(ctx context.Context) (cluster.Status, error) {
		ask := l.run
		if l.command == nil {
			ask = l.get
		}
		why, err := ask(ctx, a, node)
		if err != nil {
			why = err.Error()
		}
		l.mu.Lock()
		l.why[node] = why
		l.mu.Unlock()
		switch {
		case err != nil:
			return cluster.Status{}, err
		case why != "":
			return cluster.Status{Role: following}, nil
		}
		return cluster.Status{Role: leading, Leader: node}, nil
	})
}

// nobody says of each of the nodes why it is not said to lead.
func (l *leader) nobody(nodes []cluster.Node) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var reasons []string
	of := map[string][]string{} // nodes, by reason
	for _, n := range nodes {
		why := l.why[n.Name]
		switch s, said := l.said[n.Name]; {
		case l.log() && !said:
			why = fmt.Sprintf("no line matched %s or %s", l.leads, l.follows)
		case l.log() && s.Role == following:
			why = "its newest line that matched says that it follows"
		case why == "":
			why = "it has not answered yet"
		}
		if of[why] == nil {
			reasons = append(reasons, why)
		}
		of[why] = append(of[why], n.Name)
	}
	for i, why := range reasons {
		reasons[i] = strings.Join(of[why], ", ") + ": " + why
	}
	return strings.Join(reasons, "; ")
}

// run runs the command on a node. why says why it does not lead; "" if it does.
func (l *leader) run(ctx context.Context, a cluster.Access, node string) (why string, err error) {
	out, err := a.Exec(ctx, node, "", l.command...)
	switch {
	case errors.Is(err, cluster.ErrNoProgram):
		return "", err
	case errors.Is(err, cluster.ErrExec):
		return strings.TrimPrefix(err.Error(), l.command[0]+" on "+node+": "), nil
	case err == nil && l.pattern != nil && !l.pattern.Match(out):
		return fmt.Sprintf("what %s wrote does not match %s: %s", l.command[0], l.pattern, begin(out)), nil
	}
	return "", err
}

// get asks a node by HTTP. why says why it does not lead; "" if it does.
func (l *leader) get(ctx context.Context, a cluster.Access, node string) (why string, err error) {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return a.Dial(ctx, node, strconv.Itoa(l.port))
		},
	}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s:%d%s", node, l.port, l.path), nil)
	if err != nil {
		return "", err
	}
	res, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	switch {
	case err != nil:
		return "", err
	case res.StatusCode != http.StatusOK:
		return fmt.Sprintf("%s is answered with %s", l.path, res.Status), nil
	case l.pattern != nil && !l.pattern.Match(body):
		return fmt.Sprintf("what %s is answered with does not match %s: %s", l.path, l.pattern, begin(body)), nil
	}
	return "", nil
}

// begin shows the begin of an output.
func begin(out []byte) string {
	const most = 100
	if out = bytes.TrimSpace(out); len(out) > most {
		return strconv.Quote(string(out[:most])) + "..."
	}
	return strconv.Quote(string(out))
}

const (
	askTime = 5 * time.Second // for a command, which is a process that the engine starts, or an answer
	fresh   = 2 * time.Second // for so long, the newest result counts
)

// asked asks each node one thing at a time: on a busy machine an engine takes longer to start
// a command than whoever asks can wait, who is then told the newest result.
type asked struct {
	mu    sync.Mutex
	nodes map[string]*lastAsked
}

type lastAsked struct {
	running chan struct{} // closed when the question is answered; nil: there is none
	status  cluster.Status
	err     error
	at      time.Time // when it was answered
}

func (q *asked) ask(ctx context.Context, node string, question func(context.Context) (cluster.Status, error)) (cluster.Status, error) {
	q.mu.Lock()
	if q.nodes == nil {
		q.nodes = map[string]*lastAsked{}
	}
	n := q.nodes[node]
	if n == nil {
		n = &lastAsked{}
		q.nodes[node] = n
	}
	if n.running == nil {
		n.running = make(chan struct{})
		go func(done chan struct{}) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
			defer cancel()
			status, err := question(ctx)
			q.mu.Lock()
			defer q.mu.Unlock()
			n.status, n.err, n.at, n.running = status, err, time.Now(), nil
			close(done)
		}(n.running)
	}
	running := n.running
	q.mu.Unlock()
	var late error
	select {
	case <-running:
	case <-ctx.Done():
		late = ctx.Err()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if late != nil && time.Since(n.at) > fresh {
		return cluster.Status{}, late
	}
	return n.status, n.err
}

// heard is what a node's lines say.
func (l *leader) heard(node string) (cluster.Status, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := l.said[node]
	if !ok {
		return s, fmt.Errorf("%s has not written whether it leads", node)
	}
	return s, nil
}

// line reads a line of a node.
func (l *leader) line(node string, text []byte) (role string, ok bool) {
	switch {
	case l.leads.Match(text):
		role = leading
	case l.follows.Match(text):
		role = following
	default:
		return "", false
	}
	s := cluster.Status{Role: role}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last++; role == leading {
		s.Leader, s.Term = node, l.last // the newest leader is the one
	}
	l.said[node] = s
	return role, true
}

// polled is a System whose nodes can be asked who leads.
type polled struct{ *System }

// Tells implements cluster.Informer.
func (polled) Tells() harness.Facts { return harness.Facts{harness.Leader} }

// Status implements cluster.Informer.
func (s polled) Status(ctx context.Context, a cluster.Access, node string) (cluster.Status, error) {
	if s.leads.log() { // lines tell nothing of a node that is gone
		if port := clientPort(s.of(roleOf(a, node)).pod); port != "" {
			if err := accepts(ctx, a, node, port, 50*time.Millisecond); err != nil {
				return cluster.Status{}, err
			}
		}
	}
	return s.leads.status(ctx, a, node)
}

// roleOf is the role of a node.
func roleOf(a cluster.Access, node string) string {
	for _, n := range a.Nodes() {
		if n.Name == node {
			return n.Role
		}
	}
	return ""
}

// logged is a System whose nodes write who leads.
type logged struct{ polled }

// Event implements cluster.EventReader.
func (s logged) Event(node string, text []byte) (harness.Event, time.Time, bool) {
	role, ok := s.leads.line(node, text)
	return harness.Event{Kind: harness.RoleEvent, Node: node, Role: role}, time.Now(), ok
}
