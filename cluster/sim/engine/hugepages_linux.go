package engine

import (
	"bytes"
	"os"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Compiled code takes twenty megabytes, and a machine's memory about as much. A
// run goes from one machine to the next all the time, and with small pages a
// tenth of it is spent on finding where they are. So the kernel is asked for huge
// ones. It may refuse, and all is well without.

// hugeMemory asks for huge pages for memory that was not touched yet.
func hugeMemory(b []byte) {
	unix.Madvise(b, unix.MADV_HUGEPAGE)
}

// worthIt is how many thousands of events have to have happened in this process
// for its compiled code to be moved to huge pages. To move it takes ten or twenty
// milliseconds, and a run that is over soon has nothing of it.
const worthIt = 20

// thousands of events, in all worlds of this process.
var thousands atomic.Int64

// HugeCode has all compiled code of this process moved to huge pages when that is
// worth it. It is called after every thousand events.
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

// leastCode is how much code is worth it.
const leastCode = 4 << 20

// compiledCode lists where there is much code that comes from no file, from what
// the kernel says is mapped.
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
