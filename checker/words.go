package checker

import (
	"fmt"
	"strings"
	"time"
)

// seconds writes a duration as people read it in a report: 12.304 s.
func seconds(d time.Duration) string {
	return fmt.Sprintf("%.3f s", d.Seconds())
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// plural is "1 read", "2 reads".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// list names the first few.
func list(names []string) string {
	const most = 5
	var quoted []string
	for i, n := range names {
		if i == most {
			quoted = append(quoted, fmt.Sprintf("%d more", len(names)-most))
			break
		}
		quoted = append(quoted, fmt.Sprintf("%q", n))
	}
	return strings.Join(quoted, ", ")
}
