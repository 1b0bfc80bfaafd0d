package machine

import (
	"fmt"
	"math/rand/v2"
	"path"
	"strings"
	"time"

	"github.com/tetratelabs/wazero/experimental/sys"

	"coup/cluster"
	"coup/cluster/sim/disk"
	"coup/cluster/sim/world"
)

// DiskSpeed is how long an fsync takes: at least Min, Jitter more on average.
type DiskSpeed struct{ Min, Jitter time.Duration }

// FastDisk is the speed of a fast disk.
func FastDisk() DiskSpeed {
	return DiskSpeed{Min: 500 * time.Microsecond, Jitter: 500 * time.Microsecond}
}

// storage is a disk and how it does its work: how long that takes, and what is wrong.
type storage struct {
	w     *world.World
	disk  *disk.Disk
	rand  *rand.Rand // the disk's
	times *rand.Rand // for how long fsyncs take
	speed DiskSpeed

	fault    cluster.DiskFault
	room     int      // left on a disk that is full
	flushing int      // fsyncs under way
	hung     []func() // fsyncs that end when the disk is whole again
	cuts     int      // of power
}

func newStorage(w *world.World, r, times *rand.Rand, speed DiskSpeed) storage {
	return storage{w: w, disk: disk.New(r), rand: r, times: times, speed: speed}
}

// syncTime is how long an fsync takes.
func (s *storage) syncTime() time.Duration {
	return s.fault.Delay + s.speed.Min + time.Duration(s.times.ExpFloat64()*float64(s.speed.Jitter))
}

// fsync has the disk write what n holds, beginning ahead from now, and calls done
// when that is done or has failed. A power cut ends it without a word.
func (s *storage) fsync(n *disk.Inode, ahead time.Duration, done func(sys.Errno)) {
	seq, cuts := s.disk.Changes(), s.cuts
	s.flushing++
	n.BeginSync()
	var end func()
	end = func() {
		switch {
		case s.cuts != cuts:
			return
		case s.fault.Hang:
			s.hung = append(s.hung, end)
			return
		}
		s.flushing--
		n.EndSync()
		if s.fault.Fail {
			s.disk.FailSync(n, seq)
			done(sys.EIO)
			return
		}
		s.disk.Sync(n, seq)
		done(0)
	}
	s.w.After(ahead+s.syncTime(), end)
}

// powerLost is a power cut. It returns how many changes were lost.
func (s *storage) powerLost() (lost int) {
	s.cuts++
	s.flushing, s.hung = 0, nil
	return s.disk.Crash()
}

// SetDisk gives the disk exactly this fault.
func (m *Machine) SetDisk(f cluster.DiskFault) {
	s := &m.storage
	s.fault, s.room = f, 0
	if f.Full { // almost
		s.room = s.rand.IntN(disk.Sector)
	}
	if !f.Hang {
		for _, end := range s.hung {
			s.w.After(0, end)
		}
		s.hung = nil
	}
}

// NoSpace stands for ENOSPC, which wazero does not know and turns into EIO. tellFull
// turns that back.
const NoSpace sys.Errno = 1 << 15

// extend says how many of size bytes there is room for behind the end of a file.
func (s *storage) extend(size int) int {
	if s.fault.Full {
		size = min(size, s.room)
		s.room -= size
	}
	return size
}

// flushPatience is how long a power cut may wait for an fsync to be under way.
const flushPatience = 200 * time.Millisecond

// AwaitFlush waits, in one half of the cases, until an fsync is under way. It reports
// whether one is.
func (m *Machine) AwaitFlush() bool {
	s := &m.storage
	if s.rand.IntN(2) == 0 {
		for until := s.w.Now() + flushPatience; s.flushing == 0 && s.w.Now() < until; {
			s.w.SleepFor(s.speed.Min/8 + 1)
		}
	}
	return s.flushing > 0
}

// ProbeDisk writes and syncs a file that programs do not see. It waits for at most as
// long as an fsync takes with the disk's present fault, and returns what happened.
func (m *Machine) ProbeDisk() (took time.Duration, errno sys.Errno, ended bool) {
	s := &m.storage
	if s.fault.Full { // a probe is larger than what is left
		return 0, NoSpace, true
	}
	patience := s.fault.Delay + 10*(s.speed.Min+s.speed.Jitter)
	since, t := s.w.Now(), s.w.Current()
	for cuts := s.cuts - 1; !ended && cuts != s.cuts; { // a power cut ends a probe
		n, waits := s.disk.Scratch(), true
		s.disk.Write(n, make([]byte, disk.Sector), 0)
		cuts, since = s.cuts, s.w.Now()
		s.fsync(n, 0, func(e sys.Errno) {
			if waits {
				took, errno, ended = s.w.Now()-since, e, true
				t.Wake()
			}
		})
		t.Park(since + patience)
		waits = false
	}
	return took, errno, ended
}

// Rot flips a bit of data that the disk has held for a while, in a sealed file, and says
// which. ok is false if there is no such data.
func (m *Machine) Rot() (what string, ok bool) { return m.storage.disk.Rot(m.cfg.Sealed) }

// Unrot makes every bit read right again.
func (m *Machine) Unrot() { m.storage.disk.Unrot() }

// DiskHangs reports whether fsyncs of this disk hang.
func (m *Machine) DiskHangs() bool { return m.storage.fault.Hang }

// Put writes a file to the disk from outside, at once and durably, in place of what has its
// name. Directories that lack are made.
func (m *Machine) Put(file string, content []byte) error {
	d := m.storage.disk
	above := ""
	for name := range strings.SplitSeq(path.Dir(disk.Clean(file)), "/") {
		if above = path.Join(above, name); above == "." {
			continue
		}
		if _, errno := d.Create(above, true); errno != 0 && errno != sys.EEXIST {
			return fmt.Errorf("%s on %s: %w", file, m.Name(), errno)
		}
	}
	n, errno := d.Walk(file)
	if errno == sys.ENOENT {
		n, errno = d.Create(file, false)
	}
	if errno != 0 {
		return fmt.Errorf("%s on %s: %w", file, m.Name(), errno)
	}
	d.Truncate(n, 0)
	d.Write(n, content, 0)
	d.Sync(n, d.Changes())
	return nil
}
