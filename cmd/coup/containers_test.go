package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"coup/harness"
	"coup/internal/testengine"
	"coup/judge"
	"coup/plan"
	"coup/results"
)

// command prepares bin/coup with a results folder of its own.
func command(t *testing.T, args ...string) (cmd *exec.Cmd, out string, stderr *bytes.Buffer) {
	t.Helper()
	out = t.TempDir()
	cmd = exec.Command(testengine.Binary(t), append(args, "--out", out)...)
	stderr = &bytes.Buffer{}
	cmd.Stderr = stderr
	return cmd, out, stderr
}

// exit waits for the end and returns the exit code.
func exit(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	err := cmd.Wait()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode()
}

// left lists what the engine still has of the run in dir.
func left(t *testing.T, dir string) string {
	t.Helper()
	var stored plan.Stored
	if err := results.ReadJSON(dir, results.PlanFile, &stored); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, list := range [][]string{{"ps", "-aq"}, {"network", "ls", "-q"}, {"volume", "ls", "-q"}} {
		out, err := exec.Command("docker", append(list, "--filter", "label=coup.run="+stored.Run)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.Fields(string(out))...)
	}
	return strings.Join(all, " ")
}

func latestRun(t *testing.T, out string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(filepath.Join(out, "latest"))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// awaitOperations waits until the history of the run holds successes.
func awaitOperations(t *testing.T, out string) (dir string) {
	t.Helper()
	for give := time.Now().Add(5 * time.Minute); time.Now().Before(give); time.Sleep(50 * time.Millisecond) {
		dir, err := filepath.EvalSymlinks(filepath.Join(out, "latest"))
		if err != nil {
			continue
		}
		b, _ := os.ReadFile(filepath.Join(dir, results.HistoryFile))
		if bytes.Count(b, []byte(`"type":"ok"`)) > 100 {
			return dir
		}
	}
	t.Fatal("no operation succeeded within five minutes")
	return ""
}

func verdictOf(t *testing.T, dir string) judge.Verdict {
	t.Helper()
	var v judge.Verdict
	if err := results.ReadJSON(dir, results.VerdictFile, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestRunTheCorrectNode(t *testing.T) {
	testengine.Need(t)
	t.Parallel()
	// On a machine that is too busy nobody may lead for long enough, and the run says so:
	// unknown. It is run again then; any other end counts at once.
	var out string
	for tries := 1; ; tries++ {
		var cmd *exec.Cmd
		var stderr *bytes.Buffer
		cmd, out, stderr = command(t, "run", "--time", "15s", "--seed", "1", "--nemesis", "kill:leader,partition:leader", "--serve-within", "2m")
		stdout, _ := cmd.Output()
		code := cmd.ProcessState.ExitCode()
		if code == exitValid {
			break
		}
		if code != exitUnknown || tries == 3 {
			t.Fatalf("exit code %d\n%s\n%s", code, stdout, stderr)
		}
		t.Logf("try %d: exit code %d\n%s", tries, code, stdout)
	}
	dir := latestRun(t, out)
	if got := left(t, dir); got != "" {
		t.Errorf("left on the engine: %s", got)
	}
	for _, name := range []string{results.PlanFile, results.HistoryFile, results.EventsFile, results.VerdictFile, results.ReportFile, "nodes/n1.log", "nodes/n5.log"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v, empty or not there", name, err)
		}
	}
	kinds := eventKinds(t, dir)
	for _, kind := range []string{harness.PhaseEvent, harness.FaultStart, harness.FaultHold, harness.FaultEnd, harness.RoleEvent, harness.ElectionEvent, harness.BootEvent, harness.StateEvent, harness.HeartbeatsEvent} {
		if kinds[kind] == 0 {
			t.Errorf("no event %q in %v", kind, kinds)
		}
	}
	if runtime.GOOS == "linux" && kinds[harness.MachineEvent] == 0 {
		t.Errorf("no event tells how busy the machine was: %v", kinds)
	}
	// Judged again, the same files give the same verdict.
	before := verdictOf(t, dir)
	again := exec.Command(testengine.Binary(t), "check", dir)
	if b, err := again.CombinedOutput(); err != nil {
		t.Errorf("check: %v\n%s", err, b)
	}
	b1, _ := json.Marshal(before)
	b2, _ := json.Marshal(verdictOf(t, dir))
	if !bytes.Equal(b1, b2) {
		t.Errorf("the verdict changed when it was judged again:\n%s\n%s", b1, b2)
	}
}

func eventKinds(t *testing.T, dir string) map[string]int {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, results.EventsFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	events, _, err := harness.ReadEvents(f)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, e := range events {
		kinds[e.Kind]++
	}
	return kinds
}

func TestRunFindsAPlantedBug(t *testing.T) {
	testengine.Need(t)
	t.Parallel()
	cmd, out, stderr := command(t, "run", "--time", "5m", "--fail-fast", "--seed", "1", // found within seconds, if the machine lets it
		"--bug", "stale-leader-read", "--nemesis", "partition:leader")
	stdout, _ := cmd.Output()
	if code := cmd.ProcessState.ExitCode(); code != exitInvalid {
		t.Fatalf("exit code %d\n%s\n%s", code, stdout, stderr)
	}
	v := verdictOf(t, latestRun(t, out))
	told := false
	for _, r := range v.Results {
		told = told || r.Valid == harness.Invalid && r.Counterexample != nil && len(r.Counterexample.Story) > 0
	}
	if !told {
		t.Errorf("a violation without a story: %+v", v)
	}
}

func TestKilledRunLeavesNothingRunning(t *testing.T) {
	testengine.Need(t)
	t.Parallel()
	cmd, out, _ := command(t, "run", "--time", "60s", "--nemesis", "partition:halves")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	dir := awaitOperations(t, out)
	time.Sleep(500 * time.Millisecond) // more than what a recorded line may wait for
	cmd.Process.Kill()
	exit(t, cmd)
	running := func() string {
		var stored plan.Stored
		if err := results.ReadJSON(dir, results.PlanFile, &stored); err != nil {
			t.Fatal(err)
		}
		b, err := exec.Command("docker", "ps", "-q", "--filter", "label=coup.run="+stored.Run).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for give := time.Now().Add(2 * time.Minute); running() != ""; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(give) {
			t.Fatalf("still running two minutes after coup was killed: %s", running())
		}
	}
	if b, err := exec.Command(testengine.Binary(t), "gc").CombinedOutput(); err != nil {
		t.Fatalf("gc: %v\n%s", err, b)
	}
	if got := left(t, dir); got != "" {
		t.Errorf("left on the engine after gc: %s", got)
	}
	// What was recorded can be judged; that it did not finish makes it unknown,
	// and never a violation.
	check := exec.Command(testengine.Binary(t), "check", dir)
	b, _ := check.CombinedOutput()
	if code := check.ProcessState.ExitCode(); code != exitUnknown {
		t.Errorf("check of a killed run: exit code %d\n%s", code, b)
	}
}

func TestInterruptedRunJudgesWhatThereIs(t *testing.T) {
	testengine.Need(t)
	t.Parallel()
	cmd, out, stderr := command(t, "run", "--time", "10m", "--nemesis", "")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	dir := awaitOperations(t, out)
	cmd.Process.Signal(syscall.SIGINT)
	if code := exit(t, cmd); code != exitUnknown { // too few operations for ten minutes
		t.Errorf("exit code %d\n%s", code, stderr)
	}
	if _, err := os.Stat(filepath.Join(dir, results.ReportFile)); err != nil {
		t.Error(err)
	}
	if got := left(t, dir); got != "" {
		t.Errorf("left on the engine: %s", got)
	}
}

func TestRunInterruptedTwiceLeavesNothing(t *testing.T) {
	testengine.Need(t)
	t.Parallel()
	cmd, out, stderr := command(t, "run", "--time", "10m", "--nemesis", "kill:leader")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	dir := awaitOperations(t, out)
	cmd.Process.Signal(syscall.SIGINT)
	time.Sleep(20 * time.Millisecond)
	cmd.Process.Signal(syscall.SIGINT)
	begun := time.Now()
	if code := exit(t, cmd); code != exitHarness && code != exitUnknown {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
	if took := time.Since(begun); took > 2*time.Minute { // of ten
		t.Errorf("it took %v to stop at once", took)
	}
	if got := left(t, dir); got != "" {
		t.Errorf("left on the engine: %s", got)
	}
}
