// Command pod is a program for the containers of a test: it says what it finds, and
// answers every connection with its name.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == "echo" {
		if os.Args[2] == "fail" {
			fmt.Fprintln(os.Stderr, "told to fail")
			os.Exit(3)
		}
		fmt.Println(strings.Join(os.Args[2:], " "))
		return
	}
	name, address, log := os.Args[1], os.Args[2], os.Args[3]
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	once, _ := os.ReadFile("/data/conf/once")
	always, _ := os.ReadFile("/data/conf/always")
	fmt.Printf("%s uid %d color %s once %q always %q\n", name, os.Getuid(), os.Getenv("COLOR"), once, always)
	// What is written over shows whether it is placed anew.
	for _, f := range []string{"once", "always"} {
		if err := os.WriteFile("/data/conf/"+f, []byte("written by "+name), 0o644); err != nil {
			fmt.Printf("%s: %v\n", name, err)
		}
	}
	if log != "" {
		f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Fprintf(f, "%s writes a log\n", name)
		f.Close()
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, name+"\n")
			c.Close()
		}
	}()
	fmt.Printf("%s ended by %v\n", name, <-signals)
	if name == "fragile" {
		os.Exit(7)
	}
}
