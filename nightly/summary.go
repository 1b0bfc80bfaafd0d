package nightly

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// mostSummary is how many cells the summary tells of; servers bound its size.
const mostSummary = 50

// writeSummary writes a night in Markdown, for the page that a CI server shows of a run.
func writeSummary(w io.Writer, r Report, t trends) error {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s: %s\n\n", plain(r.Name), plain(r.Status.Sentence))
	for i, why := range r.Status.Why {
		if i == mostWhy {
			fmt.Fprintf(&b, "- and %d more\n", len(r.Status.Why)-i)
			break
		}
		fmt.Fprintf(&b, "- %s\n", plain(why))
	}
	b.WriteString("\n| class | cells |\n|---|---|\n")
	for _, c := range Classes {
		if n := r.Status.Counts[c]; n > 0 {
			fmt.Fprintf(&b, "| %s | %d |\n", c, n)
		}
	}
	told := 0
	for _, c := range Classes[:len(Classes)-1] {
		for _, o := range r.Outcomes {
			if o.Class != c || c == NotRun || told == mostSummary {
				continue
			}
			if told == 0 {
				b.WriteString("\n| class | cell | what | again |\n|---|---|---|---|\n")
			}
			told++
			again := ""
			if len(o.Failures) > 0 {
				again = quoted(o.Failures[0].Command)
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", o.Class, plain(o.Cell), plain(o.Says), again)
		}
	}
	var marks []string
	for _, s := range t.Systems {
		for _, said := range s.told(t.Nights, true) {
			marks = append(marks, fmt.Sprintf("- %s: %s\n", plain(s.Name), plain(said)))
		}
	}
	if len(marks) > 0 {
		slices.Sort(marks)
		fmt.Fprintf(&b, "\nChanges:\n\n%s", strings.Join(marks[:min(len(marks), mostSummary)], ""))
	}
	fmt.Fprintf(&b, "\n%d runs, %d operations succeeded, %d faults had an effect. Known failures: %d of %d seen.\n",
		r.Status.Runs, r.Status.Operations, r.Status.Faults, seenOf(r.Known), len(r.Known))
	_, err := io.WriteString(w, b.String())
	return err
}

func seenOf(all []KnownState) (n int) {
	for _, k := range all {
		if len(k.Cells) > 0 {
			n++
		}
	}
	return n
}

// plain is text that means nothing else in Markdown.
func plain(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	return strings.NewReplacer(`\`, `\\`, "|", `\|`, "<", "&lt;", ">", "&gt;", "&", "&amp;", "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "#", `\#`, "@", "@&#8203;").Replace(s)
}

// quoted is text as code in a field of a table.
func quoted(s string) string {
	if s == "" {
		return ""
	}
	return "`" + strings.NewReplacer("`", "'", "|", `\|`, "\n", " ").Replace(s) + "`"
}
