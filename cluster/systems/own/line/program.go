package line

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-shellwords"

	"coup/harness"
)

// Command is what starts a client program.
type Command struct {
	Line string // as for a shell, but only quotes and backslashes mean something
	Dir  string // where it runs; "": where coup does
}

// Words are the words of the line.
func (c Command) Words() ([]string, error) {
	p := shellwords.NewParser()
	words, err := p.Parse(c.Line)
	if err != nil || len(words) == 0 {
		return nil, fmt.Errorf("the command %q has no words, or quotes that do not end", c.Line)
	}
	if p.Position >= 0 {
		return nil, fmt.Errorf("the command %q is run without a shell: what means something to a shell needs sh -c '...'", c.Line)
	}
	return words, nil
}

// Check says why the command can't be started, if that can be seen.
func (c Command) Check() error {
	words, err := c.Words()
	if err != nil {
		return err
	}
	if _, err := os.Stat(c.dir()); err != nil {
		return fmt.Errorf("the client can't run in the directory %s: %w", c.dir(), err)
	}
	cmd := exec.Command(words[0])
	cmd.Dir = c.Dir
	if cmd.Err != nil {
		return fmt.Errorf("the client's program can't be found: %w", cmd.Err)
	}
	return nil
}

func (c Command) dir() string {
	if c.Dir == "" {
		return "."
	}
	return c.Dir
}

// ErrLate is the error of a request that was not answered in time. What the program does
// afterwards is of no use any more: close it.
var ErrLate = errors.New("the client did not answer in time")

// Program is a client program that runs. It is used by one goroutine at a time.
type Program struct {
	cmd    *exec.Cmd
	in     *os.File
	lines  chan []byte   // of standard output; closed at its end
	flood  chan struct{} // closed if a line was too long
	closed chan struct{} // closed by Close
	ended  chan struct{} // closed when the process has ended
	errs   *tail
	close  sync.Once

	last     int64          // the newest id that was asked
	answered map[int64]bool // the ids from the newest thousand that were answered
}

// Start starts a program. note takes each line of its standard error; nil: nobody does.
// The caller closes the program.
func Start(c Command, note func(text string)) (*Program, error) {
	words, err := c.Words()
	if err != nil {
		return nil, err
	}
	if note == nil {
		note = func(string) {}
	}
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	heard, said, err := os.Pipe()
	if err != nil {
		ours.Close()
		return nil, err
	}
	defer said.Close()
	p := &Program{
		cmd: exec.Command(words[0], words[1:]...), in: ours, lines: make(chan []byte), flood: make(chan struct{}),
		closed: make(chan struct{}), ended: make(chan struct{}), errs: &tail{note: note}, answered: map[int64]bool{},
	}
	p.cmd.Dir, p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = c.Dir, theirs, said, p.errs
	p.cmd.WaitDelay = time.Second // somebody may have inherited the standard error
	ownGroup(p.cmd)
	if err := p.cmd.Start(); err != nil {
		ours.Close()
		heard.Close()
		return nil, fmt.Errorf("the client can't be started: %w", err)
	}
	go func() {
		p.cmd.Wait() // how it ended is in ProcessState
		p.errs.flush()
		close(p.ended)
	}()
	go p.read(heard)
	go func() {
		<-p.closed
		heard.Close()
	}()
	return p, nil
}

// read hands on the lines of standard output, one when the one before is taken, so that a
// program can't fill the memory.
func (p *Program) read(from io.Reader) {
	defer close(p.lines)
	s := bufio.NewScanner(from)
	s.Buffer(nil, Longest)
	for s.Scan() {
		select {
		case p.lines <- bytes.Clone(s.Bytes()):
		case <-p.closed:
			return
		}
	}
	if errors.Is(s.Err(), bufio.ErrTooLong) {
		close(p.flood)
	}
}

// Ask sends a request, whose ID it sets, and returns the answer. The error is a [Mistake] if
// the program breaks the protocol or has ended, ErrLate if ctx ends first.
func (p *Program) Ask(ctx context.Context, r Request) (Answer, error) {
	p.last++
	r.ID = p.last
	delete(p.answered, r.ID-1000)
	text, err := json.Marshal(r)
	if err != nil {
		return Answer{}, err
	}
	// What was said before the request is no answer to it.
	select {
	case said, ok := <-p.lines:
		if ok {
			return Answer{}, p.unasked(said)
		}
	default:
	}
	if t, ok := ctx.Deadline(); ok {
		p.in.SetWriteDeadline(t) // where pipes have none, a program that reads nothing is found by the answer
	}
	if _, err := p.in.Write(append(text, '\n')); errors.Is(err, os.ErrDeadlineExceeded) {
		return Answer{}, ErrLate
	} else if err != nil {
		return Answer{}, p.gone(ctx, r)
	}
	select {
	case said, ok := <-p.lines:
		if !ok {
			return Answer{}, p.gone(ctx, r)
		}
		a, err := ParseAnswer(said)
		if err != nil {
			return a, err
		}
		if a.ID != r.ID {
			return a, p.unasked(said)
		}
		p.answered[a.ID] = true
		return a, nil
	case <-ctx.Done():
		return Answer{}, ErrLate
	}
}

// Silent returns the mistake of a program that says something though nobody asks, until
// ctx ends; nil if it is silent.
func (p *Program) Silent(ctx context.Context) error {
	select {
	case said, ok := <-p.lines:
		if !ok {
			return p.gone(ctx, Request{})
		}
		return p.unasked(said)
	case <-ctx.Done():
		return nil
	}
}

// Late waits for the answer to a request that was not answered in time.
func (p *Program) Late(ctx context.Context) (Answer, error) {
	select {
	case said, ok := <-p.lines:
		if !ok {
			return Answer{}, p.gone(ctx, Request{})
		}
		a, err := ParseAnswer(said)
		if err == nil && a.ID != p.last {
			err = p.unasked(said)
		}
		if err == nil {
			p.answered[a.ID] = true
		}
		return a, err
	case <-ctx.Done():
		return Answer{}, ErrLate
	}
}

// unasked is the mistake of a line that answers nothing that waits for an answer.
func (p *Program) unasked(said []byte) error {
	a, err := ParseAnswer(said)
	switch {
	case err != nil:
		return err
	case p.answered[a.ID]:
		return mistake("the request with id %d was answered twice: %s", a.ID, quote(said))
	case a.ID > 0 && a.ID < p.last:
		return mistake("the answer to the request with id %d comes when the next one was asked: %s", a.ID, quote(said))
	}
	return mistake("an answer has the id %d, which no request has that waits for an answer: %s", a.ID, quote(said))
}

// gone is the mistake of a program whose standard output has ended.
func (p *Program) gone(ctx context.Context, r Request) error {
	select {
	case <-p.flood:
		return mistake("standard output carries a line of more than %d bytes", Longest)
	default:
	}
	during := ""
	if r.F != "" {
		during = fmt.Sprintf(" when it was asked for %s (id %d)", r.F, r.ID)
	}
	patience := time.NewTimer(2 * time.Second)
	defer patience.Stop()
	select {
	case <-p.ended:
	case <-patience.C:
		return mistake("the client closed its standard output%s, and still runs", during)
	case <-ctx.Done():
		return ErrLate
	}
	words := p.errs.last()
	if words == "" {
		words = "it wrote nothing to its standard error"
	}
	return mistake("the client ended%s (%s): %s", during, p.cmd.ProcessState, words)
}

// EndInput closes the program's standard input.
func (p *Program) EndInput() { p.in.Close() }

// Ends closes the program's standard input and reports whether it ends of that before ctx
// does.
func (p *Program) Ends(ctx context.Context) bool {
	p.EndInput()
	select {
	case <-p.ended:
		return true
	case <-ctx.Done():
		return false
	}
}

// Close ends the program and all that it has started in its process group. It may be
// called more than once.
func (p *Program) Close() {
	p.close.Do(func() {
		p.in.Close()
		killGroup(p.cmd)
		close(p.closed)
		<-p.ended
	})
}

// tail passes lines on and keeps the last one. It is safe for concurrent use.
type tail struct {
	note func(string)
	mu   sync.Mutex
	rest []byte
	line string
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range b {
		if c == '\n' || len(t.rest) >= 1<<16 {
			t.end()
		}
		if c != '\n' {
			t.rest = append(t.rest, c)
		}
	}
	return len(b), nil
}

// end ends a line. The caller holds mu.
func (t *tail) end() {
	if text := strings.TrimSpace(string(t.rest)); text != "" {
		t.line = text
		t.note(text)
	}
	t.rest = t.rest[:0]
}

func (t *tail) flush() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end()
}

func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	const most = 200
	if len(t.line) > most {
		return t.line[:most] + "..."
	}
	return t.line
}

// Outcome is what an answer means to the harness: a value, or an error that wraps
// harness.ErrFail or not.
func (a Answer) Outcome() (json.RawMessage, error) {
	says := a.Error
	if says == "" {
		says = "the client gives no reason"
	}
	switch a.Type {
	case harness.OK:
		return a.Value, nil
	case harness.Fail:
		return nil, fmt.Errorf("%w: %s", harness.ErrFail, says)
	}
	return nil, errors.New(says)
}
