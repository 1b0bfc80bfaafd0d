//go:build unix

package line

import (
	"os/exec"
	"syscall"
)

// ownGroup makes the program the first of a process group, so that all that it starts
// ends with it. Signals of a terminal do not reach it.
func ownGroup(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func killGroup(c *exec.Cmd) { syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
