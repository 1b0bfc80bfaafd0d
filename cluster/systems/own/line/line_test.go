package line

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"coup/harness"
)

func TestParseAnswer(t *testing.T) {
	for text, want := range map[string]Answer{
		`{"id":1,"type":"ok"}`:                                        {ID: 1, Type: harness.OK},
		` {"id":2,"type":"ok","value":null} `:                         {ID: 2, Type: harness.OK, Value: json.RawMessage("null")},
		`{"type":"fail","id":3,"error":"no","node":"db1","value":[]}`: {ID: 3, Type: harness.Fail, Error: "no", Node: "db1", Value: json.RawMessage("[]")},
		`{"id":4,"type":"info","error":null}`:                         {ID: 4, Type: harness.Info},
	} {
		got, err := ParseAnswer([]byte(text))
		if err != nil || got.ID != want.ID || got.Type != want.Type || got.Error != want.Error || got.Node != want.Node || string(got.Value) != string(want.Value) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		``:                                 `no JSON object: ""`,
		`ok`:                               "no JSON object",
		`[1]`:                              "no JSON object",
		`{"id":1`:                          "no JSON object",
		`{"id":1,"type":"ok"}{"id":2}`:     "no JSON object",
		`{"type":"ok"}`:                    "has no id",
		`{"id":null,"type":"ok"}`:          "has no id",
		`{"id":"1","type":"ok"}`:           "is no whole number",
		`{"id":1.5,"type":"ok"}`:           "is no whole number",
		`{"id":1}`:                         "has no type",
		`{"id":1,"type":"invoke"}`:         `not "invoke"`,
		`{"id":1,"type":"OK"}`:             `not "OK"`,
		`{"id":1,"type":1}`:                "type is a number",
		`{"id":1,"type":"ok","vaule":1}`:   `unknown field "vaule"`,
		strings.Repeat("x", 1000) + "\x00": "...",
	} {
		_, err := ParseAnswer([]byte(text))
		var m *Mistake
		if !errors.As(err, &m) || !strings.Contains(m.Says, want) || strings.ContainsAny(m.Says, "\n\x00") {
			t.Errorf("%q: %v, want one line with %q", text, err, want)
		}
	}
}

// Whatever a program says, it is an answer or a mistake that is told in a line.
func FuzzParseAnswer(f *testing.F) {
	for _, seed := range []string{`{"id":1,"type":"ok","value":[1,2]}`, `{"id":-1,"type":"info","error":"\u0000"}`, `{"id":1e3,"type":"fail"}`, `nothing`, "{\"id\":1,\r\n\"type\":\"ok\"}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := ParseAnswer(text)
		var m *Mistake
		switch {
		case err == nil && (a.Type == harness.Invoke || a.Value != nil && !json.Valid(a.Value)):
			t.Errorf("%q was taken as %+v", text, a)
		case err != nil && (!errors.As(err, &m) || strings.ContainsAny(err.Error(), "\n\r")):
			t.Errorf("%q: %v", text, err)
		}
	})
}

const programVariable = "COUP_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if kind := os.Getenv(programVariable); kind != "" {
		program(kind)
		return
	}
	os.Exit(m.Run())
}

// program answers each line in the way that kind says.
func program(kind string) {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<24)
	for in.Scan() {
		var r Request
		if err := json.Unmarshal(in.Bytes(), &r); err != nil {
			panic(err)
		}
		switch kind {
		case "hangs":
			time.Sleep(time.Hour)
		case "dies":
			fmt.Fprintln(os.Stderr, "Traceback:")
			fmt.Fprintln(os.Stderr, "NameError: x")
			os.Exit(7)
		case "floods":
			for {
				os.Stdout.WriteString(strings.Repeat("x", 1<<20))
			}
		case "floods with lines":
			for {
				fmt.Println(`{"id":7,"type":"ok"}`)
			}
		case "garbage":
			os.Stdout.WriteString("\x00\x01 \xff\n")
		case "closes":
			os.Stdout.Close()
			time.Sleep(time.Hour)
		case "child": // one that outlives it, and holds the standard output and error
			c := exec.Command("sleep", "3600")
			c.Stdout, c.Stderr = os.Stdout, os.Stderr
			if err := c.Start(); err != nil {
				panic(err)
			}
			fmt.Printf("{\"id\":%d,\"type\":\"ok\",\"value\":%d}\n", r.ID, c.Process.Pid)
		case "twice":
			fmt.Printf("{\"id\":%d,\"type\":\"ok\"}\n{\"id\":%[1]d,\"type\":\"ok\"}\n", r.ID)
		default:
			value, _ := json.Marshal(r.Value)
			fmt.Printf("{\"id\":%d,\"type\":\"ok\",\"value\":%s}\n", r.ID, value)
		}
	}
}

func start(t *testing.T, kind string) *Program {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(programVariable, kind)
	p, err := Start(Command{Line: "'" + self + "'"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// gone fails unless a process ends soon.
func gone(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("process %d is still there", pid)
		}
	}
}

func TestAsk(t *testing.T) {
	p := start(t, "good")
	long := strings.Repeat("long ", 1<<15) // more than a pipe holds
	for i, value := range []any{int64(5), nil, long} {
		a, err := p.Ask(t.Context(), Request{F: "write", Value: value})
		want, _ := json.Marshal(value)
		if err != nil || a.ID != int64(i+1) || a.Type != harness.OK || string(a.Value) != string(want) {
			t.Fatalf("%+.100v, %v", a, err)
		}
	}
	if !p.Ends(t.Context()) {
		t.Error("it did not end with its input")
	}
	p.Close()
	p.Close() // once more does no harm
}

// Whatever a program does, asking it ends, in one line, and nothing is left of it.
func TestBadPrograms(t *testing.T) {
	for kind, want := range map[string]string{
		"hangs":             ErrLate.Error(),
		"dies":              "the client ended when it was asked for write (id 1) (exit status 7): NameError: x",
		"floods":            "standard output carries a line of more than 4194304 bytes",
		"floods with lines": "an answer has the id 7, which no request has",
		"garbage":           "no JSON object",
		"closes":            "the client closed its standard output when it was asked for write (id 1), and still runs",
	} {
		t.Run(kind, func(t *testing.T) {
			p := start(t, kind)
			patience := time.Minute
			if kind == "hangs" {
				patience = 100 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			_, err := p.Ask(ctx, Request{F: "write", Value: 1})
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want %q", err, want)
			}
			pid := p.cmd.Process.Pid
			p.Close()
			gone(t, pid)
		})
	}
}

func TestAnsweredTwice(t *testing.T) {
	p := start(t, "twice")
	if _, err := p.Ask(t.Context(), Request{F: "read"}); err != nil {
		t.Fatal(err)
	}
	err := p.Silent(t.Context())
	if err == nil || !strings.Contains(err.Error(), "the request with id 1 was answered twice") {
		t.Errorf("%v", err)
	}
}

// What a program has started ends with it, though it holds its outputs.
func TestChildren(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("there is no /proc to see processes in")
	}
	p := start(t, "child")
	a, err := p.Ask(t.Context(), Request{F: "read"})
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
	var pid int
	if err := json.Unmarshal(a.Value, &pid); err != nil || pid == 0 {
		t.Fatal(err, pid)
	}
	gone(t, pid)
}

func TestCommands(t *testing.T) {
	for text, want := range map[string]string{
		"": "no words", "  ": "no words", "a 'b": "quotes that do not end", "a | b": "needs sh -c", "a; b": "needs sh -c", "a > b": "needs sh -c",
		"coup-no-such-program": "can't be found",
	} {
		if err := (Command{Line: text}).Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if err := (Command{Line: "sh", Dir: "/no/such/directory"}).Check(); err == nil {
		t.Error("it runs in a directory that is not there")
	}
	words, err := (Command{Line: `sh -c 'a | "b"' c\ d`}).Words()
	if err != nil || strings.Join(words, "!") != `sh!-c!a | "b"!c d` {
		t.Errorf("%q, %v", words, err)
	}
}

func TestOutcome(t *testing.T) {
	if v, err := (Answer{Type: harness.OK, Value: json.RawMessage("1")}).Outcome(); err != nil || string(v) != "1" {
		t.Error(v, err)
	}
	if _, err := (Answer{Type: harness.Fail, Error: "no"}).Outcome(); !errors.Is(err, harness.ErrFail) || !strings.Contains(err.Error(), "no") {
		t.Error(err)
	}
	if _, err := (Answer{Type: harness.Info}).Outcome(); err == nil || errors.Is(err, harness.ErrFail) {
		t.Error(err)
	}
}
