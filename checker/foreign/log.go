package foreign

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A log has a line per entry: something, a dash, and then process, type,
// function and value, between white space, e.g.
//
//	INFO  jepsen.util - 0	:invoke	:cas	[1 2]
//
// Other lines are what else was logged.

const dash = " - "

// isLog says whether a text that begins so is a log.
func isLog(head []byte) bool {
	for l := range bytes.Lines(head) {
		if l := bytes.TrimSpace(l); len(l) > 0 {
			_, _, found := strings.Cut(string(l), dash)
			return found && l[0] != '{' && l[0] != '[' && l[0] != '#'
		}
	}
	return false
}

func readLog(in *bufio.Reader, p *pairing) error {
	for number := 1; ; number++ {
		text, err := in.ReadString('\n')
		if err != nil && err != io.EOF {
			return fmt.Errorf("line %d: %w", number, err)
		}
		if err := addLogLine(p, text, number); err != nil {
			return err
		}
		if err == io.EOF {
			return nil
		}
	}
}

func addLogLine(p *pairing, text string, number int) error {
	_, entry, found := strings.Cut(text, dash)
	words := strings.Fields(entry)
	if !found || len(words) < 3 || !strings.HasPrefix(words[1], ":") || !strings.HasPrefix(words[2], ":") {
		return nil
	}
	t, known := types[words[1][1:]]
	if words[0] == ":nemesis" || !known {
		return nil
	}
	process, err := strconv.ParseInt(words[0], 10, 64)
	if err != nil {
		return fmt.Errorf("line %d: expected the number of a process, not %q", number, words[0])
	}
	r := newEDNReader(bufio.NewReader(strings.NewReader(strings.Join(words[3:], " "))))
	value, err := r.next()
	if err != nil && err != io.EOF {
		return fmt.Errorf("line %d: %w", number, err)
	}
	return p.add(line{number: number, process: process, typ: t, f: words[2][1:], value: value})
}
