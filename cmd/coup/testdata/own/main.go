// Command own is a system of two nodes and its client, for a test of systems of a compose
// file: db1 keeps registers in memory, and db2 passes everything on to db1.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

func main() {
	switch os.Args[1] {
	case "serve":
		serve()
	case "leads": // who has the file that says so
		if text, err := os.ReadFile("/etc/own/role"); err != nil || strings.TrimSpace(string(text)) != "keeper" {
			os.Exit(1)
		}
	case "healthy":
		if _, err := ask("127.0.0.1:7000", "read health", time.Second); err != nil {
			os.Exit(1)
		}
	case "client":
		client(os.Args[2])
	}
}

func ask(address, request string, timeout time.Duration) (string, error) {
	conn, err := net.DialTimeout("tcp", address, timeout)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(timeout))
	fmt.Fprintln(conn, request)
	answer, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(answer), err
}

func serve() {
	l, err := net.Listen("tcp", ":7000")
	if err != nil {
		panic(err)
	}
	var mu sync.Mutex
	values := map[string]string{}
	for {
		conn, err := l.Accept()
		if err != nil {
			panic(err)
		}
		go func() {
			defer conn.Close()
			request, err := bufio.NewReader(conn).ReadString('\n')
			if err != nil {
				return
			}
			if to := os.Getenv("KEEPER"); to != "" {
				if answer, err := ask(to, strings.TrimSpace(request), 500*time.Millisecond); err == nil {
					fmt.Fprintln(conn, answer)
				}
				return
			}
			words := strings.Fields(request)
			mu.Lock()
			defer mu.Unlock()
			saw, ok := values[words[1]]
			if !ok {
				saw = "null"
			}
			switch {
			case words[0] == "write":
				values[words[1]] = words[2]
			case words[0] == "cas" && saw == words[2]:
				values[words[1]] = words[3]
			}
			fmt.Fprintln(conn, saw)
		}()
	}
}

// client is a client of registers. After its tenth request it does as kind says.
func client(kind string) {
	in := bufio.NewScanner(os.Stdin)
	for n := 1; in.Scan(); n++ {
		var r struct {
			ID        int64
			F, Key    string
			Value     json.RawMessage
			Address   string
			TimeoutMS int64 `json:"timeout_ms"`
		}
		if err := json.Unmarshal(in.Bytes(), &r); err != nil {
			panic(err)
		}
		if n > 10 && kind == "dies" {
			fmt.Fprintln(os.Stderr, "NameError: on purpose")
			os.Exit(3)
		}
		if n > 10 && kind == "garbage" {
			fmt.Println("Segmentation fault")
			continue
		}
		request := r.F + " " + r.Key
		switch r.F {
		case "write":
			request += " " + string(r.Value)
		case "cas":
			var pair [2]json.RawMessage
			if err := json.Unmarshal(r.Value, &pair); err != nil {
				panic(err)
			}
			request += " " + string(pair[0]) + " " + string(pair[1])
		}
		answer := map[string]any{"id": r.ID, "type": "ok"}
		if r.F != "open" {
			said, err := ask(r.Address, request, time.Duration(r.TimeoutMS)*time.Millisecond)
			if err != nil {
				answer["type"], answer["error"] = "info", err.Error()
			} else if r.F != "write" {
				answer["value"] = json.RawMessage(said)
			}
		}
		text, _ := json.Marshal(answer)
		fmt.Println(string(text))
	}
}
