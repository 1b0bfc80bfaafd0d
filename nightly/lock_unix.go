//go:build unix

package nightly

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lock keeps a second night out of a folder. The lock ends with the process, however that ends.
func lock(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another night is under way in %s: wait for its end, or give another folder with --out", dir)
	}
	return func() { f.Close() }, nil
}
