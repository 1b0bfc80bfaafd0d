package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"coup/internal/testbuild"
	"coup/internal/testengine"
)

const ownCompose = `
name: own-test
services:
  db1:
    build: .
    image: coup/test-own
    ports: ["7000"]
    configs: [{source: role, target: /etc/own/role}]
    healthcheck: {test: [CMD, /own, healthy]}
  db2:
    image: coup/test-own
    environment: {KEEPER: "db1:7000"}
    ports: ["7000"]
configs: {role: {content: "keeper\n"}}
x-coup: {leader: {command: [/own, leads]}}
`

// ownSystem writes a compose file, and the program that is server and client beside it.
func ownSystem(t *testing.T) (dir, program string) {
	testengine.Need(t)
	if _, err := exec.LookPath("docker"); err != nil {
		t.Skip("there is no docker command, which builds images")
	}
	built, err := testbuild.Build("coup/cmd/coup/testdata/own", "CGO_ENABLED=0")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(built)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	program = filepath.Join(dir, "own")
	for name, content := range map[string]string{
		"own": string(text), "compose.yaml": ownCompose, "Dockerfile": "FROM scratch\nLABEL coup.image=1\nCOPY own /own\nENTRYPOINT [\"/own\", \"serve\"]\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir, program
}

// running lists the processes of a program on this machine.
func running(program string) (all []string) {
	exes, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, exe := range exes {
		if at, err := os.Readlink(exe); err == nil && at == program {
			all = append(all, exe)
		}
	}
	return all
}

// A compose file and a client, from nothing to a verdict: an image is built, services find
// each other by name, configs are there, the health check and the leader are asked.
func TestOwnSystem(t *testing.T) {
	t.Parallel()
	dir, program := ownSystem(t)
	run := func(client, time string) (code int, stdout, stderr, at string) {
		cmd, out, errs := command(t, "run", "--compose", filepath.Join(dir, "compose.yaml"), "--client", program+" client "+client,
			"--time", time, "--nemesis", "pause:leader,partition:db2", "--serve-within", "2m", "--concurrency", "4", "--rate", "50", "--seed", "1")
		said, _ := cmd.Output()
		return cmd.ProcessState.ExitCode(), string(said), errs.String(), latestRun(t, out)
	}
	var dirs []string
	for tries := 1; ; tries++ {
		code, stdout, stderr, at := run("good", "10s")
		dirs = append(dirs, at)
		if code == exitValid {
			if !strings.Contains(stderr, "pause:leader nodes=db1") && !strings.Contains(stderr, "pause:leader db1") {
				t.Errorf("the leader was not db1:\n%s", stderr)
			}
			break
		}
		if code != exitUnknown || tries == 3 { // unknown: the machine is too busy
			t.Fatalf("exit code %d\n%s\n%s", code, stdout, stderr)
		}
	}
	for client, want := range map[string]string{
		"dies":    "coup: the client is broken: the client ended when it was asked for",
		"garbage": `coup: the client is broken: standard output carries a line that is no JSON object: "Segmentation fault"`,
	} {
		code, _, stderr, at := run(client, "30s")
		dirs = append(dirs, at)
		if code != exitHarness || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d\n%s", client, code, stderr)
		}
	}
	for _, at := range dirs {
		if got := left(t, at); got != "" {
			t.Errorf("left on the engine: %s", got)
		}
	}
	if got := running(program); len(got) > 0 {
		t.Errorf("clients still run: %v", got)
	}
	// Again, by the plan alone: the compose file is gone.
	if err := os.Remove(filepath.Join(dir, "compose.yaml")); err != nil {
		t.Fatal(err)
	}
	cmd, out, errs := command(t, "replay", dirs[0])
	if said, err := cmd.Output(); err != nil && cmd.ProcessState.ExitCode() != exitUnknown {
		t.Errorf("replay: %v\n%s\n%s", err, said, errs)
	}
	if got := left(t, latestRun(t, out)); got != "" {
		t.Errorf("left on the engine: %s", got)
	}
}

// What coup init writes is understood, and the client that it writes makes no mistake.
func TestStarter(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out programs that wait for their timeouts")
	}
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("there is no python3")
	}
	dir := filepath.Join(t.TempDir(), "mine")
	coup := testengine.Binary(t)
	if out, err := exec.Command(coup, "init", dir).CombinedOutput(); err != nil || !strings.Contains(string(out), "coup run --plan "+filepath.Join(dir, "plan.yaml")) {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := exec.Command(coup, "init", dir).CombinedOutput(); err == nil || !strings.Contains(string(out), "is there already") {
		t.Errorf("it was written twice: %v\n%s", err, out)
	}
	if out, err := exec.Command(coup, "run", "--plan", filepath.Join(dir, "plan.yaml"), "--print-plan").CombinedOutput(); err != nil || !strings.Contains(string(out), "redis-server") {
		t.Errorf("%v\n%s", err, out)
	}
	// The client of the example asks who leads before it writes, and the check hears no more than that.
	for plan, says := range map[string]string{filepath.Join(dir, "plan.yaml"): "no mistake was found", "../../examples/by-hand/plan.yaml": "no mistake is certain"} {
		out, err := exec.Command(coup, "client-check", "--plan", plan).CombinedOutput()
		if err != nil || !strings.HasSuffix(string(out), says+"\n") {
			t.Errorf("%s: %v\n%s", plan, err, out)
		}
	}
}
