package sim

import (
	"context"
	"fmt"
	"time"

	"github.com/tetratelabs/wazero/experimental/sys"

	"coup/cluster"
	"coup/cluster/trace"
)

// DiskSpeed is how long an fsync takes: at least Min, Jitter more on average.
type DiskSpeed struct{ Min, Jitter time.Duration }

var defaultDisk = DiskSpeed{Min: 500 * time.Microsecond, Jitter: 500 * time.Microsecond}

// syncTime is how long an fsync takes.
func (m *machine) syncTime() time.Duration {
	return m.fault.Delay + m.speed.Min + time.Duration(m.rand.ExpFloat64()*float64(m.speed.Jitter))
}

// fsync has the disk write what n holds, beginning ahead from now, and calls done
// when that is done or has failed. A power cut ends it without a word.
func (m *machine) fsync(n *inode, ahead time.Duration, done func(sys.Errno)) {
	seq, power := m.disk.seq, m.power
	m.flushing++
	n.flushing++
	var end func()
	end = func() {
		switch {
		case m.power != power:
			return
		case m.fault.Hang:
			m.hung = append(m.hung, end)
			return
		}
		m.flushing--
		n.flushing--
		if m.fault.Fail {
			m.disk.failSync(n, seq)
			done(sys.EIO)
			return
		}
		m.disk.sync(n, seq)
		done(0)
	}
	m.w.after(ahead+m.syncTime(), end)
}

// setDisk makes exactly this wrong with the disk.
func (m *machine) setDisk(f cluster.DiskFault) {
	m.fault, m.room = f, 0
	if f.Full { // almost
		m.room = m.disk.rand.IntN(sector)
	}
	if !f.Hang {
		for _, end := range m.hung {
			m.w.after(0, end)
		}
		m.hung = nil
	}
}

// noSpace stands for ENOSPC, which wazero does not have. It makes EIO of it, and
// tellFull what it should be.
const noSpace sys.Errno = 1 << 15

// extend says how many of size bytes there is room for behind the end of a file.
func (m *machine) extend(size int) int {
	if m.fault.Full {
		size = min(size, m.room)
		m.room -= size
	}
	return size
}

// flushPatience is how long a power cut may wait for an fsync to be under way.
const flushPatience = 200 * time.Millisecond

// awaitFlush leaves it to chance whether to wait until an fsync is under way. It
// reports whether one is.
func (m *machine) awaitFlush() bool {
	if m.disk.rand.IntN(2) == 0 {
		for until := m.w.now + flushPatience; m.flushing == 0 && m.w.now < until; {
			m.w.sleep(m.speed.Min/8 + 1)
		}
	}
	return m.flushing > 0
}

// probeDisk writes and syncs a file that nobody else sees, waits for it for at
// most patience, and says what came of it.
func (m *machine) probeDisk(patience time.Duration) (took time.Duration, errno sys.Errno, ended bool) {
	if m.fault.Full { // a probe is larger than what is left
		return 0, noSpace, true
	}
	since, t := m.w.now, m.w.current
	for power := m.power - 1; !ended && power != m.power; { // a power cut ends a probe
		n, waits := m.disk.make(false), true
		m.disk.write(n, make([]byte, sector), 0)
		power, since = m.power, m.w.now
		m.fsync(n, 0, func(e sys.Errno) {
			if waits {
				took, errno, ended = m.w.now-since, e, true
				t.wake()
			}
		})
		t.park(since + patience)
		waits = false
	}
	return took, errno, ended
}

// SetDisk makes exactly this wrong with a node's disk. The evidence is what
// became of a probe: a file that was written and synced, or could not be.
func (c *Cluster) SetDisk(_ context.Context, node string, f cluster.DiskFault) (evidence string, err error) {
	m, err := c.machine(node)
	if err != nil {
		return "", err
	}
	m.setDisk(f)
	if f == (cluster.DiskFault{}) {
		c.w.trace.node(trace.Machine, node, 0, "nothing is wrong with the disk")
		return "", nil
	}
	took, errno, ended := m.probeDisk(f.Delay + 10*(m.speed.Min+m.speed.Jitter))
	saw := ""
	switch {
	case !ended && f.Hang:
		saw = "the fsync of a probe does not end"
	case errno == noSpace:
		saw = "a probe could not be stored: no space left on device"
	case errno != 0 && f.Fail:
		saw = fmt.Sprintf("a probe could not be stored: %v", errno)
	case ended && took >= f.Delay && f.Delay > 0:
		saw = fmt.Sprintf("the fsync of a probe took %v", took.Round(time.Millisecond))
	default:
		return "", fmt.Errorf("%s: a probe was stored as if nothing were wrong with the disk", node)
	}
	c.w.trace.node(trace.Machine, node, 0, saw)
	return node + ": " + saw, nil
}
