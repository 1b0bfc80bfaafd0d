package sim

import (
	"bytes"
	"os"
	"strconv"

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

// hugeCode has all compiled code of this process moved to huge pages. That takes
// some milliseconds, which a run of a second has back.
func hugeCode() {
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
