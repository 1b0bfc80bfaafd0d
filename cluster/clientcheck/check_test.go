package clientcheck

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"coup/cluster/systems/own/line"
	"coup/workloads"
)

// mistakeVariable makes this test's program a client with a mistake, or with none: "none".
const mistakeVariable = "COUP_TEST_MISTAKE"

func TestMain(m *testing.M) {
	if mistake := os.Getenv(mistakeVariable); mistake != "" {
		client(mistake)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// hidden is what the bytes of a hidden request are combined with.
const hidden = 0x80

var errRefused = errors.New("refused")

// perform asks a server of this test: a line that asks, a line that answers.
func perform(address, request string, timeout time.Duration) (string, error) {
	conn, err := net.DialTimeout("tcp", address, timeout)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errRefused, err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(timeout))
	switch os.Getenv(mistakeVariable) {
	case "fails base64":
		request = base64.StdEncoding.EncodeToString([]byte(request))
	case "fails what nobody sees":
		b := []byte(request)
		for i := range b {
			b[i] ^= hidden
		}
		request = string(b)
	}
	fmt.Fprintln(conn, request)
	answer, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(answer), err
}

// client is a good client of registers but for one mistake.
func client(mistake string) {
	in := bufio.NewScanner(os.Stdin)
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	is := func(name string) bool { return mistake == name }
	if is("banner") {
		fmt.Println("client 1.0 is ready")
	}
	var held []byte
	for in.Scan() {
		var r struct {
			ID        int64
			F, Key    string
			Value     json.RawMessage
			Address   string
			TimeoutMS int64 `json:"timeout_ms"`
		}
		if err := json.Unmarshal(in.Bytes(), &r); err != nil {
			panic(err)
		}
		timeout := time.Duration(r.TimeoutMS) * time.Millisecond
		var deadline = timeout
		if is("ignores the timeout") {
			deadline = 3*timeout + 500*time.Millisecond
		}
		if is("hangs") {
			deadline = time.Hour
		}
		answer := map[string]any{"id": r.ID, "type": "ok"}
		var said string
		var err error
		switch r.F {
		case "open":
		case "read":
			if said, err = perform(r.Address, "read "+r.Key, deadline); err == nil {
				answer["value"] = json.RawMessage(said)
			}
		case "write":
			_, err = perform(r.Address, "write "+r.Key+" "+string(r.Value), deadline)
		case "cas":
			var pair [2]json.RawMessage
			json.Unmarshal(r.Value, &pair)
			if said, err = perform(r.Address, fmt.Sprintf("cas %s %s %s", r.Key, pair[0], pair[1]), deadline); err == nil {
				answer["value"] = json.RawMessage(said)
			}
		default:
			if is("dies of an unknown function") {
				fmt.Fprintln(os.Stderr, "KeyError: "+r.F)
				os.Exit(3)
			}
			err = errRefused
		}
		if err != nil {
			delete(answer, "value")
			answer["type"], answer["error"] = "info", err.Error()
			if errors.Is(err, errRefused) || strings.HasPrefix(mistake, "fails ") || r.F == "read" {
				answer["type"] = "fail"
			}
		}
		switch {
		case is("no value") && r.F == "read":
			delete(answer, "value")
		case is("a string for a number") && answer["value"] != nil && string(answer["value"].(json.RawMessage)) != "null":
			answer["value"] = string(answer["value"].(json.RawMessage))
		case is("an old value") && r.F == "read" && err == nil:
			answer["value"] = 1
		case is("ok without a system") && r.F == "write":
			answer = map[string]any{"id": r.ID, "type": "ok"}
		case is("ok to an unknown function") && r.F == unknownF:
			answer = map[string]any{"id": r.ID, "type": "ok"}
		case is("an id of its own"):
			answer["id"] = r.ID + 1000
		case is("a type of its own"):
			answer["type"] = "success"
		case is("a key of its own"):
			answer["vaule"] = 1
		case is("no id"):
			delete(answer, "id")
		}
		text, _ := json.Marshal(answer)
		text = append(text, '\n')
		switch {
		case is("no JSON"):
			text = []byte("ok\n")
		case is("debug output") && r.F == "write":
			text = append([]byte("writing to "+r.Address+"\n"), text...)
		case is("twice"):
			text = append(text, text...)
		case is("one behind"): // the answer to the request before
			text, held = held, text
		case is("floods"):
			for {
				os.Stdout.Write([]byte(strings.Repeat("x", 1<<16)))
			}
		}
		out.Write(text)
		if !is("buffered") {
			out.Flush()
		}
	}
	out.Flush()
	if is("goes on after its input") {
		time.Sleep(time.Hour)
	}
}

// server is a system of one node that keeps registers in memory.
func server(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var mu sync.Mutex
	values := map[string]string{}
	serve := func(conn net.Conn) {
		defer conn.Close()
		request, err := bufio.NewReader(conn).ReadString('\n')
		request = strings.TrimSuffix(request, "\n")
		if plain, err := base64.StdEncoding.DecodeString(request); err == nil {
			request = string(plain)
		}
		if b := []byte(request); len(b) > 0 && b[0]&hidden != 0 {
			for i := range b {
				b[i] ^= hidden
			}
			request = string(b)
		}
		words := strings.Fields(request)
		if err != nil || len(words) < 2 {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		saw, ok := values[words[1]]
		if !ok {
			saw = "null"
		}
		switch {
		case words[0] == "write":
			values[words[1]] = words[2]
		case words[0] == "cas" && saw == words[2]:
			values[words[1]] = words[3]
		}
		fmt.Fprintln(conn, saw)
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	return l.Addr().String()
}

// Each mistake that is planted is told, in one line; and a client without one is told none.
func TestMistakes(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out programs that wait for their timeouts")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	register, err := workloads.Find("register")
	if err != nil {
		t.Fatal(err)
	}
	for mistake, want := range map[string]string{
		"none":                         "",
		"banner":                       `standard output carries a line that is no JSON object: "client 1.0 is ready"`,
		"no JSON":                      `standard output carries a line that is no JSON object: "ok"`,
		"debug output":                 `standard output carries a line that is no JSON object: "writing to`,
		"floods":                       "standard output carries a line of more than 4194304 bytes",
		"buffered":                     "standard output is buffered",
		"twice":                        "was answered twice",
		"one behind":                   "the first request (open) was not answered within 5s",
		"an id of its own":             "has the id 1001, which no request has",
		"no id":                        "an answer has no id",
		"a type of its own":            `the type of an answer is ok, fail or info, not "success"`,
		"a key of its own":             `unknown field "vaule"`,
		"ignores the timeout":          "timeout_ms is not kept: ",
		"hangs":                        "was not answered within",
		"dies of an unknown function":  "the client ended when it was asked for " + unknownF + " (id 5) (exit status 3): KeyError",
		"ok to an unknown function":    "a function that the client can't know",
		"ok without a system":          "write was answered with ok, though nothing listens",
		"fails what may have happened": "write was answered with fail, though it was sent and may have happened",
		"fails base64":                 "write was answered with fail, though it was sent and may have happened",
		"fails what nobody sees":       "",
		"no value":                     "the value of read: ok read: expected an integer or null, not nothing",
		"a string for a number":        "expected an integer or null, not",
		"an old value":                 "the answers contradict each other",
		"goes on after its input":      "the client does not end when its standard input has ended",
	} {
		t.Run(mistake, func(t *testing.T) {
			t.Parallel()
			o := Options{
				Command: line.Command{Line: "env '" + mistakeVariable + "=" + mistake + "' '" + self + "'"}, Workload: register,
				Nodes: []Node{{Name: "n1", Ports: []Port{{Number: "1", Address: server(t)}}}}, Works: true, Start: 5 * time.Second, Timeout: 300 * time.Millisecond,
			}
			var said []string
			told, err := Run(t.Context(), o, func(what string) { said = append(said, what) })
			if err != nil {
				t.Fatal(err)
			}
			found := told.Mistakes
			if decided := mistake != "fails what nobody sees"; decided != (len(told.Undecided) == 0) {
				t.Errorf("undecided: %q", told.Undecided)
			}
			if strings.HasPrefix(mistake, "fails") && strings.Contains(strings.Join(said, "\n"), "with info") {
				t.Errorf("it said %q of a client that never answers with info", said)
			}
			all := strings.Join(found, "\n")
			for _, m := range found {
				if strings.ContainsAny(m, "\n\r") {
					t.Errorf("more than a line: %q", m)
				}
			}
			if want == "" && (len(found) > 0 || len(said) != 5 || mistake == "none" && !strings.Contains(said[2]+said[3], "with info")) || want != "" && !strings.Contains(all, want) {
				t.Errorf("found %q after %q, want %q", found, said, want)
			}
		})
	}
}

// A client that can't be started is no mistake of a client.
func TestNoProgram(t *testing.T) {
	register, _ := workloads.Find("register")
	for _, command := range []string{"", "coup-no-such-program", "'unended", "a | b"} {
		if found, err := Run(t.Context(), Options{Command: line.Command{Line: command}, Workload: register}, func(string) {}); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, %+v", command, err, found)
		}
	}
}

// What a client sent is found in the forms in which clients send numbers, and nothing else is.
func TestGot(t *testing.T) {
	for sent, want := range map[string]bool{
		"SET k 730541201\r\n": true, "SET k 1": false, "": false,
		"\x00" + string(binary.BigEndian.AppendUint32(nil, 730541201)): true,
		string(binary.LittleEndian.AppendUint64(nil, 730541201)):       true,
		// Made by other programs: base64, xxd -p.
		`{"value": "NzMwNTQxMjAx"}`: true, "eyJ2YWx1ZSI6IDczMDU0MTIwMX0=": true, "NzMwNTQxMjAw": false,
		"IDczMDU0MTIwMQ": true, "ICA3MzA1NDEyMDEgIA": true, "NzMwNTQxMjAxMQ": true, "NzMwNTQx": false,
		"373330353431323031": true, "373330353431323030": false, "k=2b8b2c91": true, "k=2B8B2C91": true, "k=2b8b2c90": false,
	} {
		at := &listener{}
		at.sent.WriteString(sent)
		if at.got(int64(730541201)) != want {
			t.Errorf("%q: %v", sent, !want)
		}
		if at.got(nil) {
			t.Error("a value that there is not was found")
		}
	}
}

// What ends because the check was interrupted is no mistake of the client.
func TestInterrupted(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	register, err := workloads.Find("register")
	if err != nil {
		t.Fatal(err)
	}
	for _, after := range []string{"", "it starts", "where nothing listens"} { // of which the check is interrupted
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if after == "" {
			cancel()
		}
		o := Options{Command: line.Command{Line: "env '" + mistakeVariable + "=none' '" + self + "'"}, Workload: register}
		var said []string
		found, err := Run(ctx, o, func(what string) {
			if said = append(said, what); after != "" && strings.HasPrefix(what, after) {
				cancel()
			}
		})
		if !errors.Is(err, context.Canceled) || len(found.Mistakes)+len(found.Undecided) > 0 || after == "" && len(said) > 0 || after != "" && !strings.HasPrefix(said[len(said)-1], after) {
			t.Errorf("interrupted after %q: %v, %+v, said %q", after, err, found, said)
		}
	}
}
