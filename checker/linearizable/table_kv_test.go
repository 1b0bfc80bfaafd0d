package linearizable

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"coup/checker/model"
	"coup/harness"
)

var kvLine = regexp.MustCompile(`:process (\d+), :type :(\w+), :f :(\w+), :key "(.*)", :value (nil|"(.*)")`)

// porcupineKV reads the histories of key-value stores that porcupine ships, by name.
// Those called bad are not linearizable.
func porcupineKV(t *testing.T) map[string][]harness.Operation {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/anishathalye/porcupine").Output()
	if err != nil {
		t.Skip("the go command does not say where porcupine is: ", err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "test_data", "kv", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Skip("porcupine came without its test data")
	}
	histories := map[string][]harness.Operation{}
	for _, path := range files {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		var ops []harness.Operation
		open := map[string]int{}
		lines := bufio.NewScanner(f)
		for n := 1; lines.Scan(); n++ {
			w := kvLine.FindStringSubmatch(lines.Text())
			if w == nil {
				t.Fatalf("%s, line %d: %s", path, n, lines.Text())
			}
			if w[2] == "invoke" {
				process, _ := strconv.Atoi(w[1])
				op := harness.Operation{Process: process, F: w[3], Key: w[4], Type: harness.Info, Call: n, Return: harness.Open}
				if w[3] != "get" {
					op.Input = w[6]
				}
				open[w[1]] = len(ops)
				ops = append(ops, op)
				continue
			}
			op := &ops[open[w[1]]]
			op.Type, op.Return = harness.OK, n
			if w[3] == "get" {
				op.Output = w[6]
			}
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		histories[strings.TrimSuffix(filepath.Base(path), ".txt")] = ops
	}
	return histories
}

func TestPorcupineKV(t *testing.T) {
	for name, ops := range porcupineKV(t) {
		want := harness.Valid
		if strings.HasSuffix(name, "bad") {
			want = harness.Invalid
		}
		for _, o := range model.KV().Partition(ops) {
			if _, ok, err := appendsTier(t.Context(), model.KV(), o.Ops); err != nil || !ok && strings.HasSuffix(name, "bad") {
				t.Errorf("%s, key %s: the tier decides: %v, %v", name, o.Key, ok, err)
			}
		}
		r, err := Checker{Model: model.KV()}.Check(t.Context(), &harness.History{Operations: ops})
		if err != nil || r.Valid != want {
			t.Errorf("%s: %v, %v", name, r.Valid, err)
		}
	}
}
