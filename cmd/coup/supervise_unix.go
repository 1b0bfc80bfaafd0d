//go:build unix

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// A Go program that panics or runs out of memory ends with status 2, on whatever thread it
// happened. But for coup, 2 means that a run proves nothing. So coup runs as the child of a
// process that only waits. A child tells its exit code before it ends; one that ends without
// doing so has failed.

// supervised is the environment variable that makes a process such a child. It holds two
// file descriptors, one to write the exit code to and one that is closed when the parent
// ends, and the parent's process id. Programs that the child starts inherit the variable,
// but have another parent. A program that replaces the child has the same parent.
const supervised = "COUP_SUPERVISED"

// supervise runs this command line in a child and returns its exit code. ok is false if the
// child could not be started; then the command has to run in this process.
func supervise() (code int, ok bool) {
	self, err := os.Executable()
	if err != nil {
		return 0, false
	}
	heard, said, err := os.Pipe()
	if err != nil {
		return 0, false
	}
	lives, life, err := os.Pipe() // life is closed when this process ends, however it does
	if err != nil {
		return 0, false
	}
	child := exec.Command(self, os.Args[1:]...)
	child.Args[0] = os.Args[0]
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	child.ExtraFiles = []*os.File{said, lives}
	child.Env = append(os.Environ(), fmt.Sprintf("%s=3 4 %d", supervised, os.Getpid()))
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	if err := child.Start(); err != nil {
		signal.Stop(signals)
		return 0, false
	}
	said.Close()
	lives.Close()
	defer life.Close()
	go func() {
		for s := range signals {
			child.Process.Signal(s) // it may have ended
		}
	}()
	answer := make([]byte, 1)
	_, unsaid := io.ReadFull(heard, answer)
	err = child.Wait()
	if unsaid == nil {
		return int(answer[0]), true
	}
	how := "ended"
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		how = "ended with " + ended.String()
	}
	fmt.Fprintf(os.Stderr, "coup: the program %s in the middle of its work: a defect of coup, or the machine ran out of memory. Please report it, with the lines above and the command.\n", how)
	return exitHarness, true
}

// child is what a supervised process knows of its parent; the zero value is that of a
// process without one.
type child struct{ said *os.File }

// supervisedBy reads what the parent has left in the environment.
func supervisedBy() child {
	var said, lives uintptr
	var parent int
	if n, err := fmt.Sscan(os.Getenv(supervised), &said, &lives, &parent); n != 3 || err != nil || parent != os.Getppid() {
		return child{}
	}
	life := os.NewFile(lives, "supervisor")
	go func() {
		life.Read(make([]byte, 1)) // returns when the parent has ended
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}()
	return child{os.NewFile(said, "exit code")}
}

// exit tells the parent the code and ends the process.
func (c child) exit(code int) {
	if c.said != nil {
		c.said.Write([]byte{byte(code)})
	}
	os.Exit(code)
}

func (c child) supervised() bool { return c.said != nil }
