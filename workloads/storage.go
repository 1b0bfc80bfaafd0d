package workloads

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"time"

	"coup/checker/invariants"
	"coup/checker/linearizable"
	"coup/checker/model"
	"coup/cluster"
	"coup/harness"
	"coup/harness/gen"
)

// storage works on directories of few names, with objects that are made of blocks. A block
// is made from its number, and every number is written once in a directory, so that what
// a read shows tells which writes it came from.
var storage = Workload{
	Doc: "write, append to, read, list and rename whole objects of some size, with checksums",
	Generator: func(o Options) harness.Generator {
		o = o.orDefaults()
		return gen.Keys(o.Keys, func(string) harness.Generator {
			return gen.LimitHappened(o.OpsPerKey, storageOps{})
		})
	},
	Final: func(dirs []string) harness.Generator {
		var ops []harness.Op
		for _, dir := range dirs {
			ops = append(ops, harness.Op{F: "list", Key: dir})
			for _, name := range objectNames() {
				ops = append(ops, harness.Op{F: "read", Key: dir, Value: name})
			}
		}
		return gen.Retry(ops, succeeded)
	},
	Invoke: func(ctx context.Context, c cluster.Conn, op harness.Op) (any, error) {
		s := c.(cluster.Storage)
		switch in := op.Value.(type) {
		case model.Stored:
			if op.F == "write" {
				return nil, s.WriteObject(ctx, op.Key, in.Name, content(in.Blocks))
			}
			return nil, s.AppendObject(ctx, op.Key, in.Name, content(in.Blocks))
		case model.Renamed:
			return nil, s.RenameObject(ctx, op.Key, in.From, in.To)
		case string:
			b, found, err := s.ReadObject(ctx, op.Key, in)
			if err != nil || !found {
				return result(model.Content{}, err)
			}
			return model.Content{Found: true, Blocks: blocks(b)}, nil
		}
		if op.F != "list" {
			return nil, unknownFunction(op)
		}
		names, err := s.ListObjects(ctx, op.Key)
		if err != nil {
			return nil, err
		}
		names = append([]string{}, names...)
		slices.Sort(names)
		return names, nil
	},
	Looks:    func(op *harness.Operation) bool { return op.F == "read" || op.F == "list" },
	Supports: supports[cluster.Storage],
	Decode:   model.DecodeDirectory,
	Checkers: func() []harness.Checker {
		return []harness.Checker{invariants.Objects{}, linearizable.Checker{Model: model.Directory()}}
	},
	Levels: []Level{
		oneWay("linearizable", "reads, writes, lists and renames of a directory each happen at one moment",
			invariants.Objects{}, linearizable.Checker{Model: model.Directory()}),
		oneWay("objects", "each object is whole, and one that was acknowledged is there; how lists and renames fit together is not judged", invariants.Objects{}),
	},
	Needs:       []string{"write", "append", "read", "list", "rename"},
	Conditional: []string{"append", "rename"}, // there may be no object
}

// blockSize is the size of a block in bytes: more than what systems keep one checksum of,
// so that a block can be torn.
const blockSize = 1 << 10

// A block is its number, as 8 bytes, then bytes that follow from it, and the checksum of
// all that, as 4 bytes.
func appendBlock(b []byte, number int64) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint64(b, uint64(number))
	for x := uint64(number); len(b)-start < blockSize-4; {
		x = x*6364136223846793005 + 1442695040888963407 // Knuth's generator (MMIX)
		b = binary.BigEndian.AppendUint32(b, uint32(x>>32))
	}
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[start:]))
}

// content is the bytes of an object made of these blocks.
func content(numbers []int64) []byte {
	b := make([]byte, 0, len(numbers)*blockSize)
	for _, n := range numbers {
		b = appendBlock(b, n)
	}
	return b
}

// blocks are the numbers of the blocks that an object is made of. Bytes that are no block
// are [model.Damaged], and so is a rest at the end.
func blocks(content []byte) []int64 {
	numbers := []int64{}
	for len(content) > 0 {
		block := content[:min(blockSize, len(content))]
		content = content[len(block):]
		number := int64(model.Damaged)
		if len(block) == blockSize {
			n := int64(binary.BigEndian.Uint64(block))
			if sum := binary.BigEndian.Uint32(block[blockSize-4:]); sum == crc32.ChecksumIEEE(block[:blockSize-4]) {
				number = n
			}
		}
		numbers = append(numbers, number)
	}
	return numbers
}

// objectNames are the names in each directory: so few that they meet.
func objectNames() []string { return []string{"a", "b", "c", "d"} }

const (
	mostBlocks = 4 // of a write
	longObject = 8 // to an object of so many blocks nothing is appended
)

// storageOps mixes the operations on one directory. It appends to objects that there
// should be, and renames them.
type storageOps struct {
	last int64  // the number of the last block
	have [4]int // of each name, how many blocks there should be
}

func (g storageOps) Next(m harness.Moment) (harness.Op, harness.Generator) {
	names := objectNames()
	at := m.Rand.IntN(len(names))
	switch x := m.Rand.IntN(20); {
	case x < 6:
		return harness.Op{F: "read", Value: names[at]}, g
	case x < 9:
		return harness.Op{F: "list"}, g
	case x < 13 && 0 < g.have[at] && g.have[at] < longObject:
		g.have[at]++
		g.last++
		return harness.Op{F: "append", Value: model.Stored{Name: names[at], Blocks: []int64{g.last}}}, g
	case x < 16 && 0 < g.have[at]:
		to := (at + 1 + m.Rand.IntN(len(names)-1)) % len(names)
		g.have[to], g.have[at] = g.have[at], 0
		return harness.Op{F: "rename", Value: model.Renamed{From: names[at], To: names[to]}}, g
	}
	in := model.Stored{Name: names[at]}
	for range 1 + m.Rand.IntN(mostBlocks) {
		g.last++
		in.Blocks = append(in.Blocks, g.last)
	}
	g.have[at] = len(in.Blocks)
	return harness.Op{F: "write", Value: in}, g
}

func (g storageOps) Update(harness.Moment, harness.Op) harness.Generator { return g }

// oneWay is a level that these checkers judge.
func oneWay(name, doc string, checkers ...harness.Checker) Level {
	return Level{Name: name, Doc: doc, Checkers: func(time.Duration) []harness.Checker { return checkers }}
}
