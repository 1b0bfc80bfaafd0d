//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Go program that panics or runs out of memory ends with status 2, on whatever thread it
// happened. But for coup, 2 means that a run proves nothing. So coup runs as the child of a
// process that only waits. A child tells its exit code before it ends; one that ends without
// doing so has failed.

// supervised is the environment variable that makes a process such a child. It holds two
// file descriptors, one to write the exit code to and one that is closed when the parent
// ends, and the inodes of these pipes. Programs that the child starts inherit the variable,
// but not the pipes.
const supervised = "COUP_SUPERVISED"

// supervise runs this command line in a child and returns its exit code. ok is false if the
// child could not be started; then the command has to run in this process.
func supervise() (code int, ok bool) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	p, err := startProgram(os.Args[1:], func(child *exec.Cmd) {
		child.Args[0] = os.Args[0]
		child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	})
	if err != nil {
		signal.Stop(signals)
		return 0, false
	}
	go func() {
		for s := range signals {
			p.Process.Signal(s) // it may have ended
		}
	}()
	code, err = p.wait()
	if err != nil {
		fmt.Fprintf(os.Stderr, "coup: %v\n", err)
	}
	return code, true
}

// program is a process of coup that tells how it ends, and does not outlive this one.
type program struct {
	*exec.Cmd
	heard, life *os.File
}

// startProgram starts coup with arguments.
func startProgram(args []string, prepare func(*exec.Cmd)) (p program, err error) {
	self, err := os.Executable()
	if err != nil {
		return p, err
	}
	heard, said, err := os.Pipe()
	if err != nil {
		return p, err
	}
	defer said.Close()
	lives, life, err := os.Pipe() // life is closed when this process ends, however it does
	if err != nil {
		heard.Close()
		return p, err
	}
	defer lives.Close()
	p = program{exec.Command(self, args...), heard, life}
	p.ExtraFiles = []*os.File{said, lives}
	p.Env = append(os.Environ(), fmt.Sprintf("%s=3 4 %d %d", supervised, inode(said.Fd()), inode(lives.Fd())))
	prepare(p.Cmd)
	if err = p.Start(); err != nil {
		heard.Close()
		life.Close()
	}
	return p, err
}

// wait waits for its end. An error says that it ended in the middle of its work.
func (p program) wait() (code int, err error) {
	defer p.heard.Close()
	defer p.life.Close()
	answer := make([]byte, 1)
	_, unsaid := io.ReadFull(p.heard, answer)
	err = p.Wait()
	if unsaid == nil {
		return int(answer[0]), nil
	}
	how := "ended"
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		how = "ended with " + ended.String()
	}
	return exitHarness, fmt.Errorf("the program %s in the middle of its work: a defect of coup, or the machine ran out of memory. Please report it, with the lines above and the command", how)
}

// runCoup runs coup with arguments to its end, and writes what it says to out. When soft ends it is
// interrupted, and when ctx ends it is killed. It has a group of its own, so that a
// terminal does not interrupt it as well.
func runCoup(ctx, soft context.Context, out io.Writer, args ...string) (code int, err error) {
	p, err := startProgram(args, func(child *exec.Cmd) {
		child.Stdout, child.Stderr = out, out
		child.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	})
	if err != nil {
		return 0, err
	}
	defer context.AfterFunc(soft, func() { p.Process.Signal(os.Interrupt) })()
	defer context.AfterFunc(ctx, func() { p.Process.Kill() })()
	code, unsaid := p.wait()
	if unsaid != nil {
		fmt.Fprintf(out, "\ncoup: %v\n", unsaid)
	}
	return code, nil
}

// child is what a supervised process knows of its parent; the zero value is that of a
// process without one.
type child struct{ said *os.File }

// supervisedBy reads what the parent has left in the environment.
func supervisedBy() child {
	said, lives, ok := pipesOf(os.Getenv(supervised))
	if !ok {
		return child{}
	}
	syscall.CloseOnExec(said)
	syscall.CloseOnExec(lives)
	life := os.NewFile(uintptr(lives), "supervisor")
	go func() {
		life.Read(make([]byte, 1)) // returns when the parent has ended, perhaps long ago
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}()
	return child{os.NewFile(uintptr(said), "exit code")}
}

// pipesOf reads the variable. ok is false in a process that does not have these pipes.
func pipesOf(env string) (said, lives int, ok bool) {
	var saidInode, livesInode uint64
	if n, err := fmt.Sscan(env, &said, &lives, &saidInode, &livesInode); n != 4 || err != nil {
		return 0, 0, false
	}
	return said, lives, saidInode != 0 && inode(uintptr(said)) == saidInode && inode(uintptr(lives)) == livesInode
}

// inode is that of the file of a descriptor; 0 if there is none.
func inode(fd uintptr) uint64 {
	var s syscall.Stat_t
	if syscall.Fstat(int(fd), &s) != nil {
		return 0
	}
	return uint64(s.Ino)
}

// keepPipes lets a program that replaces this process have the pipes to the parent.
// Without them its exit code would be lost.
func keepPipes() {
	if said, lives, ok := pipesOf(os.Getenv(supervised)); ok {
		unix.FcntlInt(uintptr(said), unix.F_SETFD, 0)
		unix.FcntlInt(uintptr(lives), unix.F_SETFD, 0)
	}
}

// exit tells the parent the code and ends the process.
func (c child) exit(code int) {
	if c.said != nil {
		c.said.Write([]byte{byte(code)})
	}
	os.Exit(code)
}

func (c child) supervised() bool { return c.said != nil }
