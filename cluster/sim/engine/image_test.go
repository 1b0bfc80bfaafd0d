package engine

import (
	"bytes"
	"context"
	"os"
	"slices"
	"testing"

	"github.com/tetratelabs/wazero"

	"coup/internal/testbuild"
)

func section(id byte, body ...byte) []byte { return append([]byte{id, byte(len(body))}, body...) }

func wasmModule(sections ...[]byte) []byte {
	return append([]byte("\x00asm\x01\x00\x00\x00"), bytes.Join(sections, nil)...)
}

func TestTakeData(t *testing.T) {
	onePage := section(sectionMemory, 1, 0, 1)
	other := section(0, 1, 'x', 7)
	data := func(segments ...string) []byte {
		return section(sectionData, append([]byte{byte(len(segments))}, []byte(joined(segments))...)...)
	}
	for name, c := range map[string]struct {
		module []byte
		rest   []byte // nil: it is left alone
		image  string
	}{
		"two pieces": {
			wasmModule(onePage, data("\x00\x41\x02\x0b\x02ab", "\x00\x41\x05\x0b\x01c"), other),
			wasmModule(onePage, other), "\x00\x00ab\x00c"},
		"the later wins":       {wasmModule(onePage, data("\x00\x41\x00\x0b\x03abc", "\x00\x41\x01\x0b\x01x")), wasmModule(onePage), "axc"},
		"up to the end":        {wasmModule(onePage, data("\x00\x41\xff\xff\x03\x0b\x01x")), wasmModule(onePage), string(make([]byte, 65535)) + "x"},
		"beyond the end":       {wasmModule(onePage, data("\x00\x41\xff\xff\x03\x0b\x02xy")), nil, ""},
		"before the start":     {wasmModule(onePage, data("\x00\x41\x7f\x0b\x01x")), nil, ""},
		"no memory":            {wasmModule(data("\x00\x41\x00\x0b\x01x")), nil, ""},
		"two memories":         {wasmModule(section(sectionMemory, 2, 0, 1, 0, 1), data("\x00\x41\x00\x0b\x01x")), nil, ""},
		"no data":              {wasmModule(onePage, other), nil, ""},
		"data for later":       {wasmModule(onePage, section(sectionDataCount, 1), data("\x01\x01x")), nil, ""},
		"at a global's place":  {wasmModule(onePage, data("\x00\x23\x00\x0b\x01x")), nil, ""},
		"more than it says":    {wasmModule(onePage, section(sectionData, append([]byte{1}, "\x00\x41\x00\x0b\x01xy"...)...)), nil, ""},
		"less than it says":    {wasmModule(onePage, section(sectionData, append([]byte{2}, "\x00\x41\x00\x0b\x01x"...)...)), nil, ""},
		"a section is cut off": {wasmModule(onePage, []byte{sectionData, 200, 1}), nil, ""},
		"not a module":         {[]byte("\x00asm"), nil, ""},
	} {
		rest, image, ok := takeData(c.module)
		if ok != (c.rest != nil) || ok && (!bytes.Equal(rest, c.rest) || string(image) != c.image) {
			t.Errorf("%s: %v, %q, %.20q", name, ok, rest, image)
		}
	}
}

func joined(all []string) (s string) {
	for _, part := range all {
		s += part
	}
	return s
}

// only is what a module has in some sections.
func only(module []byte, ids ...byte) []byte {
	out := append([]byte(nil), module[:8]...)
	for r := (leb{b: module[8:]}); len(r.b) > 0; {
		all := r.b
		id := r.byte()
		r.take(r.uint())
		if slices.Contains(ids, id) {
			out = append(out, all[:len(all)-len(r.b)]...)
		}
	}
	return out
}

// inMemory has the module that is instantiated in the context get memory that begins
// with p.
func inMemory(t *testing.T, ctx context.Context, p *pages) context.Context {
	t.Helper()
	memory, err := newMemory(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(memory.Free)
	return memory.In(ctx)
}

// The memory of the node begins as if its module had been left alone.
func TestImageIsWhatTheModuleSays(t *testing.T) {
	path, err := testbuild.Build("coup/cmd/raftnode", "GOOS=wasip1", "GOARCH=wasm")
	if err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, image, ok := takeData(module)
	if !ok {
		t.Fatal("the node's module is not as expected: every process would fill its memory by itself")
	}
	ctx := context.Background()
	// begin is what the memory of a module holds that consists of some sections.
	begin := func(p *pages, ids ...byte) []byte {
		r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithMemoryLimitPages(memoryPages))
		t.Cleanup(func() { r.Close(ctx) })
		m, err := r.Instantiate(inMemory(t, ctx, p), only(module, ids...))
		if err != nil {
			t.Fatal(err)
		}
		b, _ := m.Memory().Read(0, m.Memory().Size())
		return b
	}
	p, err := newPages(image)
	if err != nil {
		t.Skip(err)
	}
	defer p.close()
	want, got := begin(nil, sectionMemory, sectionData), begin(p, sectionMemory)
	if !bytes.Equal(got, want) || len(bytes.Trim(want, "\x00")) == 0 {
		t.Fatalf("%d bytes differ from %d", len(got), len(want))
	}
	// What a process writes is its own.
	at := len(image) - 1
	got[at]++
	if again := begin(p, sectionMemory); !bytes.Equal(again, want) {
		t.Error("another process sees what one has written")
	}
}

func FuzzTakeData(f *testing.F) {
	f.Add(wasmModule(section(sectionMemory, 1, 0, 1), section(sectionData, append([]byte{1}, "\x00\x41\x02\x0b\x02ab"...)...)))
	f.Fuzz(func(t *testing.T, module []byte) {
		rest, image, ok := takeData(module)
		if ok && (len(rest) >= len(module) || len(image) > len(module)<<16) {
			t.Errorf("%d and %d bytes of %d", len(rest), len(image), len(module))
		}
	})
}
