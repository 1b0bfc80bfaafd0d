package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// proc writes a process with threads in the given states below root.
func proc(t *testing.T, root string, pid int, name string, states string) {
	t.Helper()
	write := func(path, content string) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(root, fmt.Sprint(pid))
	for i, s := range states {
		line := fmt.Sprintf("%d (%s) %c 1 1 1", pid+i, name, s)
		if i == 0 {
			write(filepath.Join(dir, "stat"), line)
		}
		write(filepath.Join(dir, "task", fmt.Sprint(pid+i), "stat"), line)
	}
}

func TestProcs(t *testing.T) {
	root := t.TempDir()
	proc(t, root, 1, "agent", "S")
	proc(t, root, 10, "stopped", "TTT")
	proc(t, root, 20, "half stopped", "TST")
	proc(t, root, 30, "evil) R (name", "R")
	proc(t, root, 40, "zombie", "Z")
	if err := os.Mkdir(filepath.Join(root, "sys"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "50"), 0o755); err != nil { // ended while we looked
		t.Fatal(err)
	}
	got, err := procs(root)
	if err != nil {
		t.Fatal(err)
	}
	want := []Proc{{10, "stopped", true}, {20, "half stopped", false}, {30, "evil) R (name", false}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// answering starts an agent that is a function.
func answering(t *testing.T, answer func(request) string) *Agent {
	t.Helper()
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	go func() {
		sc := bufio.NewScanner(inR)
		for sc.Scan() {
			var r request
			if json.Unmarshal(sc.Bytes(), &r) != nil {
				break
			}
			line := answer(r)
			if line == "end" {
				break
			}
			fmt.Fprintln(outW, line)
		}
		outW.Close()
	}()
	return NewAgent(inW, outR)
}

func TestAgentMatchesAnswers(t *testing.T) {
	a := answering(t, func(r request) string { return fmt.Sprintf(`{"id":%d,"count":%d}`, r.ID, r.Token*2) })
	var wg sync.WaitGroup
	for i := range uint64(20) {
		wg.Go(func() {
			if n, err := a.Heard(context.Background(), i); err != nil || n != int(i)*2 {
				t.Errorf("asked for %d: %d, %v", i, n, err)
			}
		})
	}
	wg.Wait()
}

func TestAgentErrors(t *testing.T) {
	a := answering(t, func(r request) string { return fmt.Sprintf(`{"id":%d,"error":"no such thing"}`, r.ID) })
	if err := a.SetFilter(context.Background(), Filter{}); err == nil || err.Error() != "no such thing" {
		t.Errorf("error %v", err)
	}
	a = answering(t, func(request) string { return "end" })
	if err := a.Hello(context.Background()); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("error %v of an agent that has ended", err)
	}
	if err := a.Hello(context.Background()); err == nil {
		t.Error("an agent that has ended answered")
	}
	silent := answering(t, func(r request) string { return `{"id":0}` })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := silent.Hello(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v of an agent that does not answer", err)
	}
}

func TestEarsHearProbesAndForgetOldOnes(t *testing.T) {
	e, err := listen()
	if err != nil {
		t.Skipf("SKIPPED: port %d is taken: %v", EchoPort, err)
	}
	defer e.udp.Close()
	const token = 7
	if err := e.send([]byte{127, 0, 0, 1}, token, 5); err != nil {
		t.Fatal(err)
	}
	for give := time.Now().Add(time.Minute); e.heard(token) < 5; time.Sleep(time.Millisecond) {
		if time.Now().After(give) {
			t.Fatalf("heard %d of 5 probes", e.heard(token))
		}
	}
	if e.heard(token+1) != 0 {
		t.Error("heard a probe that nobody sent")
	}
	for i := range uint64(rememberTokens) {
		e.send([]byte{127, 0, 0, 1}, 1000+i, 1)
		for give := time.Now().Add(time.Minute); e.heard(1000+i) == 0 && time.Now().Before(give); {
			time.Sleep(10 * time.Microsecond)
		}
	}
	if e.heard(token) != 0 {
		t.Error("old tokens are kept for ever")
	}
}

func TestMainRefusesToRunByHand(t *testing.T) {
	var out strings.Builder
	if code := Main(strings.NewReader(""), &out); code != 254 || !strings.Contains(out.String(), "not for use by hand") {
		t.Errorf("exit code %d, %q: it would have signalled every process of this machine", code, out.String())
	}
}
