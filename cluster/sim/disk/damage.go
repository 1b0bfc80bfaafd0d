package disk

import (
	"fmt"
	"maps"
	"math"
	"path"
	"slices"
)

// hole is a part of a file that a sync failed to write. Programs do not see it;
// a power cut shows what is really there.
type hole struct {
	off int
	old []byte // what is on the disk
}

// FailSync is a sync that fails: of the writes to n up to the change seq, the disk gets
// only those up to some point. Names stay as durable as they were.
func (d *Disk) FailSync(n *Inode, seq uint64) {
	due := 0
	for due < len(n.dirty) && n.dirty[due].seq <= seq {
		due++
	}
	written := d.rand.IntN(due + 1)
	for i, c := range n.dirty[:due] {
		if i < written || c.written == 0 {
			n.fill(c)
			continue
		}
		old := make([]byte, c.written)
		copy(old, c.old)
		n.holes = append(n.holes, hole{c.off, old})
	}
	n.dirty = slices.Delete(n.dirty, 0, due)
}

// fill records that a change is on the disk, and fills the holes that it covers.
func (n *Inode) fill(c change) {
	from, to := c.off, c.off+c.written
	if c.written == 0 {
		to = math.MaxInt // a truncation
	}
	var left []hole
	for _, h := range n.holes {
		if before := min(from-h.off, len(h.old)); before > 0 {
			left = append(left, hole{h.off, h.old[:before]})
		}
		if after := max(to-h.off, 0); after < len(h.old) {
			left = append(left, hole{h.off + after, h.old[after:]})
		}
	}
	n.holes = left
}

// lose makes the file's data what is really on the disk. The size stays: it is kept with
// the name.
func (n *Inode) lose() {
	for _, h := range slices.Backward(n.holes) {
		if h.off < len(n.data) {
			copy(n.data[h.off:], h.old)
		}
	}
	n.holes = nil
}

// settle records how much of the file is at rest: on the disk since before its newest
// sync. In files that are written from front to back, the newest data is at the end.
func (n *Inode) settle() {
	size := len(n.data)
	if len(n.dirty) > 0 {
		size = n.dirty[0].size
	}
	switch {
	case n.synced == 0:
		n.rest = size
	case size != n.synced:
		n.rest = min(n.synced, size)
	}
	n.synced = size
}

// flip is a bit that is read wrong until its byte is written again.
type flip struct {
	off  int
	mask byte
}

// unflip forgets the flips between two places.
func (n *Inode) unflip(from, to int) {
	n.flips = slices.DeleteFunc(n.flips, func(f flip) bool { return f.off >= from && f.off < to })
}

// Read reads data as a program sees it. It also returns how many bytes are wrong.
func (n *Inode) Read(b []byte, off int) (size, wrong int) {
	size = copy(b, n.data[off:])
	for _, f := range n.flips {
		if at := f.off - off; at >= 0 && at < size {
			b[at] ^= f.mask
			wrong++
		}
	}
	return size, wrong
}

// Rot flips a bit of data at rest, in one of the files that match a pattern of package
// path.
func (d *Disk) Rot(patterns []string) (what string, ok bool) {
	type file struct {
		name string
		n    *Inode
	}
	var files []file
	var visit func(name string, n *Inode)
	visit = func(name string, n *Inode) {
		for _, entry := range slices.Sorted(maps.Keys(n.entries)) {
			visit(path.Join(name, entry), n.entries[entry])
		}
		matches := func(pattern string) bool { ok, _ := path.Match(pattern, name); return ok }
		if min(n.rest, len(n.data)) > 0 && slices.ContainsFunc(patterns, matches) {
			files = append(files, file{name, n})
		}
	}
	visit("/", d.root)
	if len(files) == 0 {
		return "", false
	}
	f := files[d.rand.IntN(len(files))]
	off, bit := d.rand.IntN(min(f.n.rest, len(f.n.data))), d.rand.IntN(8)
	f.n.flips = append(f.n.flips, flip{off, 1 << bit})
	return fmt.Sprintf("bit %d of byte %d of %s", bit, off, f.name), true
}

// Unrot makes every bit read right again.
func (d *Disk) Unrot() {
	for _, n := range d.All() {
		n.flips = nil
	}
}
