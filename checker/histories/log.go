package histories

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A log has a line per entry: process, type, function and value, between white
// space. What stands before depends on what wrote it; a history.txt has nothing there.
//
//	INFO  jepsen.util - 0	:invoke	:cas	[1 2]
//	INFO [2019-11-08 06:38:56,868] jepsen worker 4-n5 - jepsen.util 4	:invoke	:cas	[1 2]
//	2020-09-11 15:37:05,049{GMT}	INFO	[jepsen worker 6] jepsen.util: 6	:invoke	:txn	[[:r 2 nil]]
//	0	:invoke	:txn	[[:r 2 nil]]
//
// Other lines are what else was logged.

const (
	dash   = " - "
	logger = "jepsen.util"
)

// entryOf is the part of a line that may be an entry, as words; ok says that
// something stands before it that only a log has.
func entryOf(text string) (words []string, ok bool) {
	_, entry, ok := strings.Cut(text, logger)
	if ok {
		words = strings.Fields(entry)
		if len(words) > 0 && (words[0] == "-" || words[0] == ":") {
			words = words[1:]
		}
		return words, ok
	}
	if _, entry, ok = strings.Cut(text, dash); ok {
		return strings.Fields(entry), ok
	}
	return strings.Fields(text), false
}

// isLog says whether a text that begins so is a log.
func isLog(head []byte) bool {
	for l := range bytes.Lines(head) {
		if l := bytes.TrimSpace(l); len(l) > 0 {
			words, found := entryOf(string(l))
			return (found || isEntryOf(words)) && !strings.ContainsRune("{[(#", rune(l[0]))
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

// isEntryOf says whether words look like an entry, whoever the process is.
func isEntryOf(words []string) bool {
	if len(words) < 3 || !strings.HasPrefix(words[1], ":") || !strings.HasPrefix(words[2], ":") {
		return false
	}
	_, known := types[words[1][1:]]
	return known
}

func addLogLine(p *pairing, text string, number int) error {
	words, _ := entryOf(text)
	if !isEntryOf(words) || words[0] == ":nemesis" {
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
	return p.add(line{number: number, process: process, typ: types[words[1][1:]], f: words[2][1:], value: value})
}
