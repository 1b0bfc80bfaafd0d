package search

import (
	"regexp"
	"slices"
	"strings"

	"coup/harness"
	"coup/judge"
)

// Fingerprint says what went wrong in a few words without names and numbers,
// so that runs that failed the same way have the same one; what clients were answered
// comes first. It is "" for a run that is valid.
func Fingerprint(v judge.Verdict) string {
	if v.Valid == harness.Valid {
		return ""
	}
	bySubject := map[harness.Subject][]string{}
	var subjects []harness.Subject // results come in their order
	for _, r := range v.Results {
		if r.Valid != v.Valid {
			continue
		}
		summary, _, _ := strings.Cut(r.Summary, ". ")
		summary, _, _ = strings.Cut(summary, ": ")
		if bySubject[r.Judges] == nil {
			subjects = append(subjects, r.Judges)
		}
		bySubject[r.Judges] = append(bySubject[r.Judges], r.Checker+": "+generalise(strings.TrimSuffix(summary, ".")))
	}
	var parts []string
	for _, s := range subjects {
		slices.Sort(bySubject[s])
		parts = append(parts, slices.Compact(bySubject[s])...)
	}
	return strings.Join(parts, "; ")
}

var (
	lists   = regexp.MustCompile(`#(, #)+( and #)?|# and #`)
	figures = regexp.MustCompile(`\b[a-z]{0,2}\d[\w.,%]*|\b\d[\w.,%]*`)
)

// generalise puts # for everything with a digit in it, and for lists of them.
func generalise(s string) string {
	return lists.ReplaceAllString(figures.ReplaceAllStringFunc(s, func(f string) string {
		return "#" + f[len(strings.TrimRight(f, ",.")):]
	}), "#")
}
