package engine

import (
	"bytes"
	"os"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Compiled code takes twenty megabytes, and a machine's memory about as much. A run
// switches between machines all the time, and with small pages a tenth of its time goes
// into misses of the TLB. So the kernel is asked for huge pages. It may refuse; then the
// run is slower.

// hugeMemory asks for huge pages for memory that was not touched yet.
func hugeMemory(b []byte) {
	unix.Madvise(b, unix.MADV_HUGEPAGE)
}

// worthIt is how many thousands of events must have happened in this process before its
// compiled code is moved to huge pages. Moving it takes ten or twenty milliseconds, which
// does not pay off in a short run.
const worthIt = 20

// thousands of events, in all worlds of this process.
var thousands atomic.Int64

// HugeCode moves all compiled code of this process to huge pages, if that is worth it. It
// is called after every thousand events.
func HugeCode() {
	if thousands.Add(1) != worthIt {
		return
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for _, r := range compiledCode(maps) {
		unix.Syscall(unix.SYS_MADVISE, r.from, r.to-r.from, unix.MADV_COLLAPSE)
	}
}

type region struct{ from, to uintptr }

// leastCode is the size from which on it is worth moving code.
const leastCode = 4 << 20

// compiledCode lists large areas of code that come from no file, according to the
// kernel's list of mappings.
func compiledCode(maps []byte) (all []region) {
	for line := range bytes.Lines(maps) {
		// From and to, permissions, offset, device, inode, and no name.
		f := bytes.Fields(line)
		if len(f) != 5 || string(f[1]) != "r-xp" {
			continue
		}
		from, to, _ := bytes.Cut(f[0], []byte("-"))
		a, err := strconv.ParseUint(string(from), 16, 64)
		b, err2 := strconv.ParseUint(string(to), 16, 64)
		if err == nil && err2 == nil && b >= a+leastCode {
			all = append(all, region{uintptr(a), uintptr(b)})
		}
	}
	return all
}
