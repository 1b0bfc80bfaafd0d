package story

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Seconds writes a duration as people read it in a report: 12.304 s.
func Seconds(d time.Duration) string {
	return fmt.Sprintf("%.3f s", d.Seconds())
}

// Times is "once", "2 times".
func Times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// Plural is "1 read", "2 reads".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if strings.HasSuffix(noun, "x") {
		noun += "e"
	}
	if n := len(noun) - 1; noun[n] == 'y' && !strings.ContainsRune("aeiou", rune(noun[n-1])) {
		noun = noun[:n] + "ie"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// List writes the first few names, quoted, and says how many more there are.
func List(names []string) string {
	const most = 20
	var quoted []string
	for i, n := range names {
		if i == most {
			quoted = append(quoted, fmt.Sprintf("%d more", len(names)-most))
			break
		}
		if n == "" {
			n = "what has no key"
		} else {
			n = strconv.Quote(n)
		}
		quoted = append(quoted, n)
	}
	return strings.Join(quoted, ", ")
}

// And joins words as in "a, b and c".
func And(words []string) string {
	n := len(words)
	if n < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
}
