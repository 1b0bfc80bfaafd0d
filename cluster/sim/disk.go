package sim

import (
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero/experimental/sys"
)

// disk is what a machine's programs store. It outlives them, and knows what
// was synced.
//
// Of what was not synced, a power cut keeps as much as a journaling file system
// might: changes of names in their order up to some point (a sync of anything
// makes all names durable that were changed before it), and of each file the
// writes up to some point, of which the last may be torn.
//
// After an fsync that failed it is as on most Linux file systems: programs still
// read what they wrote, but some of it is not on the disk, and no later fsync
// puts it there unless it is written again.
type disk struct {
	rand  *rand.Rand
	root  *inode
	inos  uint64
	seq   uint64   // counts changes
	names []naming // that are not durable, oldest first
}

// naming is a change of a name, and how to undo it.
type naming struct {
	seq  uint64
	undo func()
}

// inode is a file or a directory.
type inode struct {
	ino     uint64
	dir     bool
	entries map[string]*inode
	data    []byte
	dirty   []change // of data since the last sync, oldest first
	holes   []hole   // what a failed sync did not write
	synced  int      // how long it was at its newest sync
	rest    int      // how much of it was there before its newest sync, or all if there was one only
	flips   []flip   // bits that read wrong
	// How many fsyncs of it are under way.
	flushing int
	mtime    int64 // Unix nanoseconds
}

// change is a write or a truncation, and how to undo it.
type change struct {
	seq     uint64
	off     int
	written int
	size    int    // of the file before
	old     []byte // what was at off before
}

// sector is what a disk writes at once.
const sector = 512

func newDisk(r *rand.Rand) *disk {
	d := &disk{rand: r}
	d.root = d.make(true)
	return d
}

func (d *disk) make(dir bool) *inode {
	d.inos++
	n := &inode{ino: d.inos, dir: dir}
	if dir {
		n.entries = map[string]*inode{}
	}
	return n
}

// walk finds the inode at a path.
func (d *disk) walk(p string) (*inode, sys.Errno) {
	n := d.root
	for part := range strings.SplitSeq(clean(p), "/") {
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

func clean(p string) string { return strings.TrimPrefix(path.Clean("/"+p), "/") }

// parent finds the directory that holds the last element of a path.
func (d *disk) parent(p string) (dir *inode, name string, errno sys.Errno) {
	up, name := path.Split(clean(p))
	if name == "" {
		return nil, "", sys.EINVAL
	}
	dir, errno = d.walk(up)
	if errno == 0 && !dir.dir {
		errno = sys.ENOTDIR
	}
	return dir, name, errno
}

// link makes name in dir mean n; nil removes it.
func (d *disk) link(dir *inode, name string, n *inode) {
	old := dir.entries[name]
	set := func(n *inode) {
		if n == nil {
			delete(dir.entries, name)
		} else {
			dir.entries[name] = n
		}
	}
	set(n)
	d.names = append(d.names, naming{d.next(), func() { set(old) }})
}

func (d *disk) next() uint64 {
	d.seq++
	return d.seq
}

func (d *disk) create(p string, dir bool) (*inode, sys.Errno) {
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

func (d *disk) remove(p string, dir bool) sys.Errno {
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

func (d *disk) rename(from, to string) sys.Errno {
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

// write writes b at off.
func (d *disk) write(n *inode, b []byte, off int) {
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
func (n *inode) grow(size int) {
	if size > len(n.data) {
		n.data = append(n.data, make([]byte, size-len(n.data))...)
	}
}

func (d *disk) truncate(n *inode, size int) {
	c := change{seq: d.next(), off: size, size: len(n.data)}
	if size < len(n.data) {
		c.old = slices.Clone(n.data[size:])
		n.data = n.data[:size]
	}
	n.dirty = append(n.dirty, c)
	n.grow(size)
	n.unflip(size, c.size)
}

func (n *inode) undo(c change) {
	n.grow(c.size)
	n.data = n.data[:c.size]
	copy(n.data[c.off:], c.old)
}

// sync makes durable what was changed up to the change seq: of n's data, and
// of all names.
func (d *disk) sync(n *inode, seq uint64) {
	n.dirty = slices.DeleteFunc(n.dirty, func(c change) bool {
		if c.seq <= seq {
			n.fill(c)
		}
		return c.seq <= seq
	})
	n.settle()
	d.names = slices.DeleteFunc(d.names, func(c naming) bool { return c.seq <= seq })
}

// crash is a power cut. It returns how many changes were lost or torn.
func (d *disk) crash() (lost int) {
	for _, n := range d.all() {
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

// all lists what can be reached, in the order it was made.
func (d *disk) all() []*inode {
	seen := map[*inode]bool{}
	var visit func(*inode)
	var all []*inode
	visit = func(n *inode) {
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
	slices.SortFunc(all, func(a, b *inode) int { return int(a.ino) - int(b.ino) })
	return all
}

// crash keeps some of the changes, tears the one after them and undoes the rest.
func (n *inode) crash(r *rand.Rand) (lost int) {
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
func (n *inode) tear(c change, r *rand.Rand) {
	if c.written == 0 {
		n.undo(c)
		return
	}
	now := slices.Clone(n.data[c.off : c.off+c.written])
	n.undo(c)
	if r.IntN(2) == 0 { // it got as far as some byte
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
		end := min((at/sector+1)*sector, c.off+c.written)
		if r.IntN(2) == 0 {
			copy(n.data[at:end], now[at-c.off:])
		}
		at = end
	}
}
