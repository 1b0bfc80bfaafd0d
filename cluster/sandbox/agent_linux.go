package sandbox

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Main is the agent: it serves requests until in ends, and returns its exit
// code. It must be the first process of its PID namespace, because it signals
// all others.
func Main(in io.Reader, out io.Writer) int {
	if os.Getpid() != 1 {
		fmt.Fprintln(out, "the sandbox agent is a part of coup's containers, not for use by hand")
		return 254
	}
	// Orphans of the node become children of the first process of the
	// namespace; nobody else reaps them.
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	go func() {
		for range children {
			for {
				pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
				if pid <= 0 || err != nil {
					break
				}
			}
		}
	}()
	ears, err := listen()
	if err != nil {
		fmt.Fprintln(out, err)
		return 255
	}
	a := &agent{ears: ears}
	enc := json.NewEncoder(out)
	sc := bufio.NewScanner(in)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var r request
		res := response{}
		err := json.Unmarshal(sc.Bytes(), &r)
		if err == nil {
			res, err = a.serve(r)
		}
		res.ID = r.ID
		if err != nil {
			res.Error = err.Error()
		}
		if enc.Encode(res) != nil {
			break
		}
	}
	return 0
}

// agent is what requests are about, one at a time.
type agent struct {
	*ears
	taking *taking // nil: no packets are captured
}

func (e *agent) serve(r request) (response, error) {
	switch r.Do {
	case doHello:
		return response{}, nil
	case doSignal:
		// Sent by the first process of a namespace, -1 means all others in it.
		err := syscall.Kill(-1, syscall.Signal(r.Signal))
		if err == syscall.ESRCH {
			err = nil // nobody else is there
		}
		return response{}, err
	case doProcs:
		procs, err := procs("/proc")
		return response{Procs: procs}, err
	case doFilter:
		return response{}, e.taking.changing(*r.Filter, func() error { return applyFilter(*r.Filter) })
	case doSend:
		return response{}, e.send(net.ParseIP(r.Address), r.Token, r.Count)
	case doHeard:
		return response{Count: e.heard(r.Token)}, nil
	case doRead:
		return read(r.Path, r.Offset)
	case doCapture:
		t, err := newTaking(r.Path, r.Offset)
		e.taking = t
		return response{Now: time.Now().UnixNano()}, err
	case doCaptured:
		taken, err := e.taking.end()
		e.taking = nil
		return response{Taken: taken}, err
	}
	return response{}, fmt.Errorf("the sandbox agent does not know how to do %q", r.Do)
}

// mostRead is how much of a file is answered at once. As JSON it is a third longer, and
// must fit into the line that the harness reads.
const mostRead = 256 << 10

// read answers what a file holds from offset on.
func read(path string, offset int64) (response, error) {
	f, err := os.Open(path)
	if err != nil {
		return response{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return response{}, err
	}
	b := make([]byte, min(mostRead, max(0, info.Size()-offset)))
	n, err := f.ReadAt(b, offset)
	if err == io.EOF {
		err = nil
	}
	return response{Data: b[:n], Size: info.Size()}, err
}
