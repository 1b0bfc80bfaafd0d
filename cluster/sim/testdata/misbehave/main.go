// Command misbehave does what a program on a simulated machine should not.
package main

import (
	"fmt"
	"os"
	"time"
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
	}
}
