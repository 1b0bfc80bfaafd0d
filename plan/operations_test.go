package plan

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

var listedOps = []Operation{
	{At: Duration(100 * time.Millisecond), Client: 0, F: "write", Key: "k0", Value: "1"},
	{At: Duration(200 * time.Millisecond), Client: 1, F: "read", Key: "k0"},
	{At: Duration(1200300 * time.Microsecond), Client: 1, F: "cas", Key: "k0", Value: "[null,2]"},
}

func TestListedOperationsSurviveTheirFile(t *testing.T) {
	want := resolved(t, func(p *Plan) { p.Operations = listedOps })
	for _, p := range readBack(t, want) {
		if err := p.Resolve(); err != nil || !reflect.DeepEqual(p, want) {
			t.Errorf("read back\n%+v (%v)\nwant\n%+v", p, err, want)
		}
	}
	if want.Drawn() {
		t.Error("operations that are listed are taken for drawn ones")
	}
	txn := resolved(t, func(p *Plan) {
		err := p.Parse("plan.yaml", []byte(`
workload: list-append
operations: [{at: 1s, client: 0, f: txn, value: [[append, k0, 1], [r, k1, null]]}]
`))
		if err != nil {
			t.Fatal(err)
		}
	})
	if v := txn.Operations[0].Value; v != `[["append","k0",1],["r","k1",null]]` {
		t.Errorf("a transaction became %s", v)
	}
}

func TestOperationsThatMakeNoSense(t *testing.T) {
	for want, change := range map[string]func(*Operation){
		`entry 2: `:                func(o *Operation) { o.F = "enqueue" },
		"entry 2: there are the c": func(o *Operation) { o.Client = 10 },
		"entry 2: it must begin b": func(o *Operation) { o.At = Duration(-time.Second) },
		"between 0s and 2m0s":      func(o *Operation) { o.At = Duration(121 * time.Second) },
		"entry 2: invoke write: ":  func(o *Operation) { o.F, o.Value = "write", `"x"` },
	} {
		p := Default()
		p.Operations = append([]Operation{}, listedOps...)
		change(&p.Operations[1])
		if err := p.Resolve(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
