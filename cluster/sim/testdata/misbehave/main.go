// Command misbehave does what a program on a simulated machine should not.
package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"coup/cluster/sim/guest"
)

func main() {
	switch os.Args[1] {
	default: // "loop", and whatever a node is told
		for i := 0; ; i++ {
		}
	case "spin": // looks at the clock until it has moved
		for since := time.Now(); time.Since(since) < 50*time.Millisecond; {
		}
		fmt.Println("done")
	case "panic":
		panic("on purpose")
	case "fill":
		var all [][]byte
		for {
			b := make([]byte, 16<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			all = append(all, b)
			time.Sleep(time.Millisecond)
		}
	case "exit":
		os.Exit(3)
	case "disk":
		disk()
	}
}

// disk asks for everything that a disk may refuse, again and again, and says
// what it is told.
func disk() {
	answer := func(what string, err error) {
		said := fmt.Sprint(err)
		for name, errno := range map[string]error{
			"ok": nil, "ENOSPC": syscall.ENOSPC, "EIO": syscall.EIO, "ENOENT": syscall.ENOENT,
		} {
			if errors.Is(err, errno) {
				said = name
			}
		}
		fmt.Printf("%s: %s\n", what, said)
	}
	fill := func(write func(n int64) (int, error)) (err error) {
		for n := int64(0); n < 64 && err == nil; n++ {
			_, err = write(n)
		}
		return err
	}
	block := make([]byte, 100)
	f, err := os.OpenFile("/f", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		panic(err)
	}
	for i := 0; ; i++ {
		answer("write", fill(func(int64) (int, error) { return f.Write(block) }))
		answer("write at", fill(func(n int64) (int, error) { return f.WriteAt(block, 1e4+100*n) }))
		answer("grow", f.Truncate(1e5))
		_, err := f.WriteAt(block, 0)
		answer("overwrite", err)
		answer("sync", f.Sync())
		answer("sync beside", guest.Sync("/f"))
		answer("sync nothing", guest.Sync("/nothing"))
		answer("shrink", f.Truncate(1000))
		_, err = f.Seek(1000, 0)
		answer("seek", err)
		g, err := os.Create(fmt.Sprint("/f", i))
		answer("create", err)
		g.Close()
		answer("make a directory", os.Mkdir(fmt.Sprint("/dir", i), 0o755))
		time.Sleep(100 * time.Millisecond)
	}
}
