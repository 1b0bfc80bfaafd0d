// Command raftnode runs one node of the bundled system under test.
package main

import (
	"os"

	"coup/cluster/raftnode"
)

func main() { os.Exit(raftnode.Main(os.Args[1:], os.Stdout, os.Stderr)) }
