package nightly

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"
)

// Known is a failure that is known, and is no news where and as long as it says.
type Known struct {
	Fingerprint string   `yaml:"fingerprint" json:"fingerprint"`        // as coup hunt and the page of a night tell it; * stands for anything
	Link        string   `yaml:"link" json:"link"`                      // where it is told of
	Where       []string `yaml:"where" json:"where,omitempty"`          // cells, or patterns of cells; none: everywhere
	Until       Date     `yaml:"until" json:"until"`                    // from this day on it is news again; none: for ever
	Why         string   `yaml:"why" json:"why,omitempty"`              // what it is, in a sentence
	Unseen      int      `yaml:"unseen-nights" json:"unseen,omitempty"` // after so many nights without it, that is news; 0: 14
}

// Date is a day, written 2030-12-31.
type Date struct{ time.Time }

// UnmarshalYAML implements yaml.BytesUnmarshaler.
func (d *Date) UnmarshalYAML(b []byte) error {
	t, err := time.Parse(time.DateOnly, strings.Trim(strings.TrimSpace(string(b)), `"'`))
	if err != nil {
		return fmt.Errorf("%s is no day such as 2030-12-31", b)
	}
	d.Time = t
	return nil
}

// ReadKnown reads a file of known failures: a list in YAML.
func ReadKnown(path string) ([]Known, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all []Known
	if err := decode(b, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for i := range all {
		k := &all[i]
		if k.Fingerprint == "" || strings.Trim(k.Fingerprint, "* ") == "" || k.Link == "" {
			return nil, fmt.Errorf("%s, entry %d: a known failure needs a fingerprint and a link", path, i+1)
		}
		if k.Unseen == 0 {
			k.Unseen = 14
		}
	}
	return all, nil
}

// overdue says whether the day of an entry is past.
func (k Known) overdue(now time.Time) bool { return !k.Until.IsZero() && !now.Before(k.Until.Time) }

// allows says whether a failure with this fingerprint is known in a cell.
func (k Known) allows(cell, fingerprint string, now time.Time) bool {
	return !k.overdue(now) && k.is(cell, fingerprint)
}

func (k Known) is(cell, fingerprint string) bool {
	return matches(k.Fingerprint, fingerprint) && k.at(cell)
}

// at says whether an entry is about a cell.
func (k Known) at(cell string) bool { return len(k.Where) == 0 || anyMatches(k.Where, cell) }

func anyMatches(patterns []string, s string) bool {
	for _, p := range patterns {
		if matches(p, s) {
			return true
		}
	}
	return false
}

// matches says whether s is what a pattern means, in which * stands for anything.
func matches(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile(`(?s)^` + strings.Join(parts, ".*") + `$`).MatchString(s)
}

// drawn is a seed that follows from a night, a cell and a number. It is short enough to
// be typed.
func drawn(night, cell string, i int) uint64 {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d", night, cell, i))
	return 1 + binary.BigEndian.Uint64(sum[:])%999_999_999
}
