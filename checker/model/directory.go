package model

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"coup/harness"
)

// Stored is the input of the functions write and append on a directory: the name of an
// object, and the blocks that it is made of or that are added to it. Each block stands for
// some bytes that are made from its number. As JSON it is {"name": "a", "blocks": [1, 2]}.
type Stored struct {
	Name   string  `json:"name"`
	Blocks []int64 `json:"blocks"`
}

// String is e.g. "a [1 2]".
func (s Stored) String() string { return s.Name + " " + ListText(s.Blocks) }

// Renamed is the input of a rename in a directory. As JSON it is {"from": "a", "to": "b"}.
type Renamed struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// String is e.g. "a to b".
func (r Renamed) String() string { return r.From + " to " + r.To }

// Content is what a read of an object showed: its blocks, or that there is no object of
// that name. As JSON it is a list or null.
type Content struct {
	Found  bool
	Blocks []int64
}

// Damaged stands in a [Content] for bytes that are no block: a part of one, a mixture of
// two, or one whose checksum is wrong. Nobody writes such a block.
const Damaged = -1

// String is the blocks, or "nothing".
func (c Content) String() string {
	if !c.Found {
		return "nothing"
	}
	s := ListText(c.Blocks)
	if slices.Contains(c.Blocks, Damaged) {
		s += " (" + strconv.Itoa(Damaged) + ": bytes that are no block)"
	}
	return s
}

// AppendJSON appends c as JSON to b.
func (c Content) AppendJSON(b []byte) []byte {
	if !c.Found {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i, n := range c.Blocks {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, n, 10)
	}
	return append(b, ']')
}

// MarshalJSON writes a list or null.
func (c Content) MarshalJSON() ([]byte, error) { return c.AppendJSON(nil), nil }

// DecodeDirectory is the [harness.Decoder] of directories: write and append take a
// [Stored]; read takes a name and returns a [Content]; list returns names as []string,
// sorted; rename takes a [Renamed].
func DecodeDirectory(t harness.Type, f string, raw json.RawMessage) (any, error) {
	stored := func(raw json.RawMessage) (any, error) {
		var in struct {
			Name   *string
			Blocks json.RawMessage
		}
		if err := json.Unmarshal(raw, &in); err != nil || in.Name == nil || absent(in.Blocks) {
			return nil, fmt.Errorf(`expected {"name": name, "blocks": [integer, ...]}, not %s`, short(raw))
		}
		blocks, err := ints(in.Blocks)
		if err != nil {
			return nil, err
		}
		return Stored{*in.Name, blocks.([]int64)}, nil
	}
	renamed := func(raw json.RawMessage) (any, error) {
		var in struct{ From, To *string }
		if err := json.Unmarshal(raw, &in); err != nil || in.From == nil || in.To == nil {
			return nil, fmt.Errorf(`expected {"from": name, "to": name}, not %s`, short(raw))
		}
		return Renamed{*in.From, *in.To}, nil
	}
	content := func(raw json.RawMessage) (any, error) {
		switch {
		case len(trim(raw)) == 0:
			return nil, fmt.Errorf("expected a list of integers or null, not nothing")
		case isNull(raw):
			return Content{}, nil
		}
		blocks, err := ints(raw)
		if err != nil {
			return nil, err
		}
		return Content{true, blocks.([]int64)}, nil
	}
	names := func(raw json.RawMessage) (any, error) {
		names := []string{}
		if err := json.Unmarshal(raw, &names); err != nil {
			return nil, fmt.Errorf("expected a list of names, not %s", short(raw))
		}
		slices.Sort(names)
		return names, nil
	}
	return decode(t, f, raw, "a directory", function{"write", stored, nothing}, function{"append", stored, nothing},
		function{"read", aString, content}, function{"list", nothing, names}, function{"rename", renamed, nothing})
}

// Directory is a directory of few names, each with an object made of blocks:
//
//   - write puts an object in place of any that had the name;
//   - append adds blocks to the end of an object, and succeeds only if there is one;
//   - read returns the blocks of an object, or that there is none;
//   - list returns the names of all objects;
//   - rename succeeds only if there is an object of the old name; it replaces the one that has the new name.
//
// All of them happen at one moment. An operation that cannot succeed fails, and that says
// nothing about the directory.
func Directory() Model {
	return Model{
		Name:   "directory",
		Decode: DecodeDirectory,
		Init:   "",
		Step: func(state any, op *harness.Operation) (any, bool) {
			now, ok := state.(string), op.Type == harness.OK
			switch op.F {
			case "write":
				in := op.Input.(Stored)
				return withEntry(now, in.Name, packed(in.Blocks)), true
			case "append":
				in := op.Input.(Stored)
				blocks, found := entryOf(now, in.Name)
				if !found {
					return state, !ok
				}
				return withEntry(now, in.Name, blocks+packed(in.Blocks)), true
			case "read":
				name := op.Input.(string)
				if !ok {
					return state, true
				}
				got := op.Output.(Content)
				blocks, found := entryOf(now, name)
				return state, got.Found == found && len(got.Blocks) == len(blocks)/8 && packed(got.Blocks) == blocks
			case "list":
				return state, !ok || slices.Equal(op.Output.([]string), entryNames(now))
			case "rename":
				in := op.Input.(Renamed)
				blocks, found := entryOf(now, in.From)
				if !found {
					return state, !ok
				}
				return withEntry(withoutEntry(now, in.From), in.To, blocks), true
			}
			panic(unknownFunction(op.F, "a directory", "write, append, read, list, rename"))
		},
		ReadOnly: func(op *harness.Operation) bool { return op.F == "read" || op.F == "list" },
		Text:     directoryText,
		Words:    directoryWords,
	}
}

func directoryText(op *harness.Operation) string {
	s := op.F
	if op.Input != nil {
		s += fmt.Sprintf(" %v", op.Input)
	}
	switch out := op.Output.(type) {
	case Content:
		s += " -> " + out.String()
	case []string:
		s += " -> " + namesText(out)
	}
	return s
}

func namesText(names []string) string {
	if len(names) == 0 {
		return "no names"
	}
	return strings.Join(names, " ")
}

func directoryWords(op *harness.Operation, dir string) (did, wish, got string) {
	switch in := op.Input.(type) {
	case Stored:
		if op.F == "append" {
			to := fmt.Sprintf(" %s to %s in %s", ListText(in.Blocks), in.Name, dir)
			return "appended" + to, "append" + to, ""
		}
		as := fmt.Sprintf(" %s in %s as %s", in.Name, dir, ListText(in.Blocks))
		return "wrote" + as, "write" + as, ""
	case Renamed:
		of := fmt.Sprintf(" %s to %s in %s", in.From, in.To, dir)
		return "renamed" + of, "rename" + of, ""
	case string:
		if out, ok := op.Output.(Content); ok {
			got = "got " + out.String()
		}
		return fmt.Sprintf("read %s in %s", in, dir), fmt.Sprintf("read %s in %s", in, dir), got
	}
	if out, ok := op.Output.([]string); ok {
		got = "got " + namesText(out)
	}
	return "listed " + dir, "list " + dir, got
}

// The state of a directory is a string: its entries sorted by name, each the length of the
// name, the name, the number of blocks in four bytes, and the blocks.

func packed(blocks []int64) string {
	b := make([]byte, 0, 8*len(blocks))
	for _, n := range blocks {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return string(b)
}

// nextEntry cuts the first entry off.
func nextEntry(dir string) (name, blocks, rest string) {
	n := int(dir[0])
	name, dir = dir[1:1+n], dir[1+n:]
	size := 8 * int(binary.BigEndian.Uint32([]byte(dir[:4])))
	return name, dir[4 : 4+size], dir[4+size:]
}

func entryOf(dir, wanted string) (blocks string, found bool) {
	for dir != "" {
		var name string
		if name, blocks, dir = nextEntry(dir); name == wanted {
			return blocks, true
		}
	}
	return "", false
}

func entryNames(dir string) (names []string) {
	for dir != "" {
		var name string
		name, _, dir = nextEntry(dir)
		names = append(names, name)
	}
	return names
}

func withoutEntry(dir, wanted string) string {
	for at := dir; at != ""; {
		name, _, rest := nextEntry(at)
		if name == wanted {
			return dir[:len(dir)-len(at)] + rest
		}
		at = rest
	}
	return dir
}

func withEntry(dir, name, blocks string) string {
	if len(name) > 255 {
		panic("a name of a directory is longer than 255 bytes")
	}
	dir = withoutEntry(dir, name)
	at := dir
	for at != "" {
		other, _, rest := nextEntry(at)
		if other > name {
			break
		}
		at = rest
	}
	var size [4]byte
	binary.BigEndian.PutUint32(size[:], uint32(len(blocks)/8))
	return dir[:len(dir)-len(at)] + string(byte(len(name))) + name + string(size[:]) + blocks + at
}
