package capture

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// segments is how many files a ring has. The oldest is removed as a whole, so that a ring
// that was filled holds at least all but one of them.
const segments = 8

// Ring keeps the newest packets in files of a folder. It is not safe for concurrent use.
type Ring struct {
	dir   string
	bound int64
	kept  []segment // the oldest first
	next  int       // number of the next one
	f     *os.File  // of the last one; nil: there is none yet
	w     *bufio.Writer
	block []byte
	gone  int // packets that were forgotten
	err   error
}

// segment is a file of a ring.
type segment struct {
	name        string
	size        int64
	packets     int
	first, last int64 // times
}

// Kept is what a ring holds.
type Kept struct {
	Segments  []string `json:"segments"` // names of files, the oldest first
	Packets   int      `json:"packets"`
	Forgotten int      `json:"forgotten"`
	First     int64    `json:"first"` // nanoseconds since 1970
	Last      int64    `json:"last"`
}

// NewRing returns an empty ring of at most bound bytes in an empty folder.
func NewRing(dir string, bound int64) *Ring { return &Ring{dir: dir, bound: bound} }

// Add adds a packet. Its data is not kept. After an error nothing more is added, and the
// error is that of all further calls.
func (r *Ring) Add(p Packet) error {
	if r.err != nil {
		return r.err
	}
	r.block = appendPacket(r.block[:0], p)
	n := len(r.kept)
	if r.f == nil || r.kept[n-1].size+int64(len(r.block)) > r.bound/segments && r.kept[n-1].packets > 0 {
		if r.err = r.rotate(); r.err != nil {
			return r.err
		}
		n = len(r.kept)
	}
	s := &r.kept[n-1]
	if s.packets == 0 {
		s.first, s.last = p.Time, p.Time
	}
	s.packets++
	s.size += int64(len(r.block))
	s.first, s.last = min(s.first, p.Time), max(s.last, p.Time)
	_, r.err = r.w.Write(r.block)
	return r.err
}

// rotate begins a new segment, and forgets the oldest one if there are too many.
func (r *Ring) rotate() error {
	if err := r.finish(); err != nil {
		return err
	}
	if len(r.kept) == segments {
		if err := os.Remove(filepath.Join(r.dir, r.kept[0].name)); err != nil {
			return err
		}
		r.gone += r.kept[0].packets
		r.kept = r.kept[1:]
	}
	name := fmt.Sprintf("%08d", r.next)
	r.next++
	f, err := os.OpenFile(filepath.Join(r.dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	r.f = f
	if r.w == nil {
		r.w = bufio.NewWriterSize(f, 64<<10)
	}
	r.w.Reset(f)
	r.kept = append(r.kept, segment{name: name})
	return nil
}

// finish writes and closes the last segment.
func (r *Ring) finish() error {
	if r.f == nil {
		return nil
	}
	err := errors.Join(r.w.Flush(), r.f.Close())
	r.f = nil
	return err
}

// Close writes what is left, and returns what the ring holds. Its error is the first
// that there was.
func (r *Ring) Close() (Kept, error) {
	err := r.finish()
	if r.err == nil {
		r.err = err
	}
	k := Kept{Forgotten: r.gone}
	for _, s := range r.kept {
		if k.Packets == 0 {
			k.First, k.Last = s.first, s.last
		}
		k.Segments = append(k.Segments, s.name)
		k.Packets += s.packets
		k.First, k.Last = min(k.First, s.first), max(k.Last, s.last)
	}
	return k, r.err
}
