package machine

import (
	"testing"

	"github.com/tetratelabs/wazero/experimental/sys"

	"coup/cluster/sim/network"
	"coup/cluster/sim/world"
)

func must(t *testing.T, errno sys.Errno) {
	t.Helper()
	if errno != 0 {
		t.Fatal(errno)
	}
}

func TestFullDisk(t *testing.T) {
	w := world.New(1)
	m := New(w, network.New(w, network.OneBuilding(), nil, nil), Config{Name: "n1"})
	p := &Process{m: m}
	f := files{p: p}
	o, errno := f.OpenFile("log", sys.O_CREAT|sys.O_RDWR, 0o644)
	must(t, errno)
	if n, errno := o.Write([]byte("0123456789")); n != 10 || errno != 0 {
		t.Fatal(n, errno)
	}
	m.storage.fault.Full, m.storage.room = true, 5
	if n, errno := o.Pwrite([]byte("abcdefgh"), 8); n != 7 || errno != 0 {
		t.Errorf("there was room for 2 bytes of the file and 5 new ones, and %d were written: %v", n, errno)
	}
	if n, errno := o.Write([]byte("x")); n != 1 || errno != 0 { // still at 10
		t.Errorf("overwriting needs no room: %d, %v", n, errno)
	}
	if _, errno := o.Pwrite([]byte("x"), 15); errno != NoSpace || p.trouble.refused != 1 {
		t.Error("a full disk took another byte")
	}
	if _, errno := o.Pwrite([]byte("x"), 100); errno != NoSpace {
		t.Error("a full disk took a byte far behind the end")
	}
	if _, errno := f.OpenFile("other", sys.O_CREAT|sys.O_RDWR, 0o644); errno != NoSpace {
		t.Error("a full disk took another file")
	}
	if errno := f.Mkdir("dir", 0o755); errno != NoSpace {
		t.Error("a full disk took a directory")
	}
	if errno := o.Truncate(100); errno != NoSpace {
		t.Error("a full disk let a file grow")
	}
	must(t, o.Truncate(4))
	must(t, f.Rename("log", "log2"))
	if p.trouble.refused != 5 {
		t.Errorf("refused %d times", p.trouble.refused)
	}
}

// What is put on a disk from outside is there at once, in place of what was, and survives a
// power cut.
func TestPut(t *testing.T) {
	w := world.New(1)
	m := New(w, network.New(w, network.OneBuilding(), nil, nil), Config{Name: "n1"})
	for _, content := range []string{"a long content", "short"} {
		if err := m.Put("/data/a/keys.json", []byte(content)); err != nil {
			t.Fatal(err)
		}
		m.storage.disk.Crash()
		n, errno := m.storage.disk.Walk("/data/a/keys.json")
		must(t, errno)
		if string(n.Data()) != content {
			t.Errorf("%q is there, want %q", n.Data(), content)
		}
	}
	if err := m.Put("/data/a/keys.json/b", nil); err == nil {
		t.Error("a file was put into a file")
	}
}
