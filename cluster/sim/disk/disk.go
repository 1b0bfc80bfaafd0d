// Package disk is what a simulated machine's programs store, and what of it survives
// a power cut.
//
// Start with [New]. A [Disk] outlives programs, and knows what was synced (disk.go).
// Damage is in damage.go: what a failed fsync leaves behind, and bits that flip. The
// machine decides how long an fsync takes, and whether it fails.
package disk

import (
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero/experimental/sys"
)

// Disk is what a machine's programs store. It outlives them, and knows what
// was synced.
//
// A power cut keeps some of the changes that were not synced, as a journaling file
// system might: changes of names, in their order, up to some point (any sync makes all
// earlier changes of names durable); and of each file the writes up to some point, of
// which the last may be torn.
//
// After an fsync that failed it is as on most Linux file systems: programs still
// read what they wrote, but some of it is not on the disk, and no later fsync
// puts it there unless it is written again.
type Disk struct {
	rand  *rand.Rand
	root  *Inode
	inos  uint64
	seq   uint64   // counts changes
	names []naming // that are not durable, oldest first
}

// naming is a change of a name, and how to undo it.
type naming struct {
	seq  uint64
	undo func()
}

// Inode is a file or a directory.
type Inode struct {
	ino     uint64
	dir     bool
	entries map[string]*Inode
	data    []byte
	dirty   []change // of data since the last sync, oldest first
	holes   []hole   // what a failed sync did not write
	synced  int      // how long it was at its newest sync
	rest    int      // how long it was before its newest sync; all of it, if it had only one
	flips   []flip   // bits that read wrong
	// How many fsyncs of it are under way.
	flushing int
	modified int64 // Unix nanoseconds
}

// change is a write or a truncation, and how to undo it.
type change struct {
	seq     uint64
	off     int
	written int
	size    int    // of the file before
	old     []byte // what was at off before
}

// Sector is what a disk writes at once.
const Sector = 512

// New returns a disk with an empty root directory. Its chances come from r.
func New(r *rand.Rand) *Disk {
	d := &Disk{rand: r}
	d.root = d.make(true)
	return d
}

func (d *Disk) make(dir bool) *Inode {
	d.inos++
	n := &Inode{ino: d.inos, dir: dir}
	if dir {
		n.entries = map[string]*Inode{}
	}
	return n
}

// Scratch makes a file without a name, which a power cut removes.
func (d *Disk) Scratch() *Inode { return d.make(false) }

// Changes is how many changes there were: the number of the newest, for Sync.
func (d *Disk) Changes() uint64 { return d.seq }

// Number is the inode's number, of which no other one has the same.
func (n *Inode) Number() uint64 { return n.ino }

// IsDir says whether it is a directory.
func (n *Inode) IsDir() bool { return n.dir }

// Size is how many bytes a file has.
func (n *Inode) Size() int { return len(n.data) }

// Data is what a file holds, if no bit of it reads wrong. It must not be changed.
func (n *Inode) Data() []byte { return n.data }

// Names are those in a directory, sorted.
func (n *Inode) Names() []string { return slices.Sorted(maps.Keys(n.entries)) }

// Entry is the inode of a name in a directory, nil if there is none.
func (n *Inode) Entry(name string) *Inode { return n.entries[name] }

// Modified is when it was written last, in Unix nanoseconds.
func (n *Inode) Modified() int64 { return n.modified }

// SetModified sets the time of the last write, in Unix nanoseconds.
func (n *Inode) SetModified(at int64) { n.modified = at }

// BeginSync and EndSync are called around a sync of the file. A power cut in between
// loses some of the data that it should write.
func (n *Inode) BeginSync() { n.flushing++ }

// EndSync is the end of what BeginSync began.
func (n *Inode) EndSync() { n.flushing-- }

// Walk finds the inode at a path.
func (d *Disk) Walk(p string) (*Inode, sys.Errno) {
	n := d.root
	for part := range strings.SplitSeq(Clean(p), "/") {
		if part == "" {
			continue
		}
		if !n.dir {
			return nil, sys.ENOTDIR
		}
		next := n.entries[part]
		if next == nil {
			return nil, sys.ENOENT
		}
		n = next
	}
	return n, 0
}

// Clean is a path as the disk knows it, without a slash at the beginning.
func Clean(p string) string { return strings.TrimPrefix(path.Clean("/"+p), "/") }

// parent finds the directory that holds the last element of a path.
func (d *Disk) parent(p string) (dir *Inode, name string, errno sys.Errno) {
	up, name := path.Split(Clean(p))
	if name == "" {
		return nil, "", sys.EINVAL
	}
	dir, errno = d.Walk(up)
	if errno == 0 && !dir.dir {
		errno = sys.ENOTDIR
	}
	return dir, name, errno
}

// link makes name in dir mean n; nil removes it.
func (d *Disk) link(dir *Inode, name string, n *Inode) {
	old := dir.entries[name]
	set := func(n *Inode) {
		if n == nil {
			delete(dir.entries, name)
		} else {
			dir.entries[name] = n
		}
	}
	set(n)
	d.names = append(d.names, naming{d.next(), func() { set(old) }})
}

func (d *Disk) next() uint64 {
	d.seq++
	return d.seq
}

// Create makes a file or directory of a name that nothing has.
func (d *Disk) Create(p string, dir bool) (*Inode, sys.Errno) {
	up, name, errno := d.parent(p)
	if errno != 0 {
		return nil, errno
	}
	if up.entries[name] != nil {
		return nil, sys.EEXIST
	}
	n := d.make(dir)
	d.link(up, name, n)
	return n, 0
}

// Remove takes a name away; a directory must be empty.
func (d *Disk) Remove(p string, dir bool) sys.Errno {
	up, name, errno := d.parent(p)
	if errno != 0 {
		return errno
	}
	n := up.entries[name]
	switch {
	case n == nil:
		return sys.ENOENT
	case dir && !n.dir:
		return sys.ENOTDIR
	case !dir && n.dir:
		return sys.EISDIR
	case len(n.entries) > 0:
		return sys.ENOTEMPTY
	}
	d.link(up, name, nil)
	return 0
}

// Rename gives something another name, in place of what has it.
func (d *Disk) Rename(from, to string) sys.Errno {
	a, aName, errno := d.parent(from)
	if errno != 0 {
		return errno
	}
	b, bName, errno := d.parent(to)
	if errno != 0 {
		return errno
	}
	n, there := a.entries[aName], b.entries[bName]
	switch {
	case n == nil:
		return sys.ENOENT
	case n == there:
		return 0
	case there != nil && there.dir && !n.dir:
		return sys.EISDIR
	case there != nil && !there.dir && n.dir:
		return sys.ENOTDIR
	case there != nil && len(there.entries) > 0:
		return sys.ENOTEMPTY
	}
	d.link(b, bName, n)
	// One change, not two: a power cut sees both names or neither.
	last := &d.names[len(d.names)-1]
	undo := last.undo
	delete(a.entries, aName)
	last.undo = func() {
		undo()
		a.entries[aName] = n
	}
	return 0
}

// Write writes b at off.
func (d *Disk) Write(n *Inode, b []byte, off int) {
	c := change{seq: d.next(), off: off, written: len(b), size: len(n.data)}
	if off < len(n.data) {
		c.old = slices.Clone(n.data[off:min(len(n.data), off+len(b))])
	}
	n.dirty = append(n.dirty, c)
	n.grow(off + len(b))
	copy(n.data[off:], b)
	n.unflip(off, off+len(b))
}

// grow makes the file at least size long.
func (n *Inode) grow(size int) {
	if size > len(n.data) {
		n.data = append(n.data, make([]byte, size-len(n.data))...)
	}
}

// Truncate makes a file exactly size bytes long.
func (d *Disk) Truncate(n *Inode, size int) {
	c := change{seq: d.next(), off: size, size: len(n.data)}
	if size < len(n.data) {
		c.old = slices.Clone(n.data[size:])
		n.data = n.data[:size]
	}
	n.dirty = append(n.dirty, c)
	n.grow(size)
	n.unflip(size, c.size)
}

func (n *Inode) undo(c change) {
	n.grow(c.size)
	n.data = n.data[:c.size]
	if len(c.old) > 0 { // the write began within the file
		copy(n.data[c.off:], c.old)
	}
}

// Sync makes durable what was changed up to the change seq: of n's data, and
// of all names.
func (d *Disk) Sync(n *Inode, seq uint64) {
	n.dirty = slices.DeleteFunc(n.dirty, func(c change) bool {
		if c.seq <= seq {
			n.fill(c)
		}
		return c.seq <= seq
	})
	n.settle()
	d.names = slices.DeleteFunc(d.names, func(c naming) bool { return c.seq <= seq })
}

// Crash is a power cut. It returns how many changes were lost or torn.
func (d *Disk) Crash() (lost int) {
	for _, n := range d.All() {
		lost += n.crash(d.rand)
	}
	for keep := d.rand.IntN(len(d.names) + 1); len(d.names) > keep; lost++ {
		last := len(d.names) - 1
		d.names[last].undo()
		d.names = d.names[:last]
	}
	d.names = nil
	return lost
}

// All lists what can be reached, in the order it was made.
func (d *Disk) All() []*Inode {
	seen := map[*Inode]bool{}
	var visit func(*Inode)
	var all []*Inode
	visit = func(n *Inode) {
		if seen[n] {
			return
		}
		seen[n] = true
		all = append(all, n)
		for _, name := range slices.Sorted(maps.Keys(n.entries)) {
			visit(n.entries[name])
		}
	}
	visit(d.root)
	slices.SortFunc(all, func(a, b *Inode) int { return int(a.ino) - int(b.ino) })
	return all
}

// crash keeps some of the changes, tears the one after them and undoes the rest.
func (n *Inode) crash(r *rand.Rand) (lost int) {
	lost = len(n.holes)
	defer n.lose()
	most := len(n.dirty)
	if n.flushing > 0 {
		most-- // not all of it was written yet
	}
	if n.flushing = 0; len(n.dirty) == 0 {
		return lost
	}
	keep := r.IntN(most + 1)
	for i := len(n.dirty) - 1; i > keep; i-- {
		n.undo(n.dirty[i])
		lost++
	}
	if keep < len(n.dirty) {
		n.tear(n.dirty[keep], r)
		lost++
	}
	n.dirty = nil
	return lost
}

// tear undoes part of the newest change.
func (n *Inode) tear(c change, r *rand.Rand) {
	if c.written == 0 {
		n.undo(c)
		return
	}
	now := slices.Clone(n.data[c.off : c.off+c.written])
	n.undo(c)
	if r.IntN(2) == 0 { // the bytes up to some place were written
		part := now[:r.IntN(len(now)+1)]
		if len(part) > 0 {
			n.grow(c.off + len(part))
			copy(n.data[c.off:], part)
		}
		return
	}
	// Some sectors were written and some not, while the size already is the new one.
	n.grow(c.off + c.written)
	for at := c.off; at < c.off+c.written; {
		end := min((at/Sector+1)*Sector, c.off+c.written)
		if r.IntN(2) == 0 {
			copy(n.data[at:end], now[at-c.off:])
		}
		at = end
	}
}
