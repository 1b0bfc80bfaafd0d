package model

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ListText writes a list of elements, the long ones shortened.
func ListText(vs []int64) string {
	const most = 12
	var b strings.Builder
	b.WriteByte('[')
	for i, v := range vs {
		if i == most {
			fmt.Fprintf(&b, " ... (%d elements)", len(vs))
			break
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strconv.FormatInt(v, 10))
	}
	b.WriteByte(']')
	return b.String()
}

// Long lists are told by a few elements where it matters.
const (
	wholeList = 10 // elements that are told in full
	listPart  = 4
)

// partText writes the elements of a list from one place to another, and the first.
func partText(list []int64, from, to int) string {
	if len(list) <= wholeList {
		from, to = 0, len(list)
	}
	from, to = max(from, 0), min(to, len(list))
	var words []string
	if from > 0 {
		words = append(words, "…")
	}
	for _, v := range list[from:to] {
		words = append(words, strconv.FormatInt(v, 10))
	}
	if to < len(list) {
		words = append(words, "…")
	}
	return "[" + strings.Join(words, " ") + "]"
}

// EndText writes the end of a list.
func EndText(list []int64) string { return partText(list, len(list)-listPart, len(list)) }

// AroundText writes a list around an element.
func AroundText(list []int64, v int64) string {
	at := slices.Index(list, v)
	return partText(list, at-listPart/2, at+listPart/2+1)
}

// ApartText writes a list around the first place where it differs from another.
func ApartText(list, other []int64) string {
	at := ApartAt(list, other)
	return partText(list, at-listPart/2, at+listPart/2)
}

// ApartAt is the first place where two lists differ.
func ApartAt(a, b []int64) int {
	at := 0
	for at < len(a) && at < len(b) && a[at] == b[at] {
		at++
	}
	return at
}
