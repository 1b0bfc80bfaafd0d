package capture

import (
	"io"
	"net/netip"
	"os"
)

// Interface is what packets passed.
type Interface struct{ Name, Description string }

// Head is what a file says before its packets.
type Head struct {
	Comment    string // of the file
	Interfaces []Interface
	Names      []Name
}

// Write writes a file: the head, and what a ring held, segment by segment. seen and missed are how
// many packets the first interface had in all, and how many of these were not taken; the
// statistics of the file tell them at the time last.
func (h Head) Write(w io.Writer, held []string, open func(segment string) (io.ReadCloser, error), last int64, seen, missed int) (err error) {
	b := appendSection(nil, "coup", h.Comment)
	for _, i := range h.Interfaces {
		b = appendInterface(b, i.Name, i.Description)
	}
	b = appendNames(b, h.Names)
	if _, err := w.Write(b); err != nil {
		return err
	}
	for _, name := range held {
		r, err := open(name)
		if err != nil {
			return err
		}
		_, err = io.Copy(w, r)
		r.Close()
		if err != nil {
			return err
		}
	}
	_, err = w.Write(appendStats(nil, 0, last, uint64(seen), uint64(missed)))
	return err
}

// Create makes a file with what write writes, and returns its size.
func Create(path string, write func(io.Writer) error) (size int64, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	if err = write(f); err == nil {
		size, err = f.Seek(0, io.SeekCurrent)
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	return size, err
}

// Named lists addresses with what they are called; those that are no IPv4 addresses are
// left out.
func Named(pairs ...string) (all []Name) {
	for i := 0; i+1 < len(pairs); i += 2 {
		if a, err := netip.ParseAddr(pairs[i]); err == nil && a.Is4() {
			all = append(all, Name{a, pairs[i+1]})
		}
	}
	return all
}
