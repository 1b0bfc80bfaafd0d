package keys

import (
	"os"
	"syscall"
	"time"
)

// mark tells one state of a file from another; the zero value tells nothing. The time of a
// modification is not enough: whoever puts a file there may set it.
type mark struct {
	file, size int64
	changed    syscall.Timespec
}

// settling is how old a change must be until a mark tells it from the next one: several may
// have the same time, as the kernel's clock has ticks.
const settling = 100 * time.Millisecond

// markOf is the mark of a file as it is now.
func markOf(path string) mark {
	info, err := os.Stat(path)
	if err != nil {
		return mark{}
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || time.Since(time.Unix(st.Ctim.Unix())) < settling {
		return mark{}
	}
	return mark{int64(st.Ino), info.Size(), st.Ctim}
}
