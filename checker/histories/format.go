package histories

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// format is how a history is written down.
type format uint8

const (
	emptyFormat format = iota
	ednFormat
	jsonFormat
	logFormat
	plumeFormat
	awditFormat
	dbcopFormat
	dbcopJSONFormat
	bincodeFormat
	cobraFormat
)

var formatNames = [...]string{
	"an empty file", "EDN, as Jepsen, Knossos and Elle write it", "JSON", "a log of Jepsen's or Knossos'", "PolySI's or Plume's text",
	"AWDIT's text", "DBCop's text", "DBCop's JSON", "DBCop's binary format", "Cobra's log",
}

func (f format) String() string { return formatNames[f] }

// sessionsOnly says that the format holds transactions session by session, and
// no time.
func (f format) sessionsOnly() bool { return f >= plumeFormat }

// plain undoes the compression of r, and leaves out a byte-order mark.
func plain(r io.Reader) (*bufio.Reader, error) {
	const size = 1 << 16
	in := bufio.NewReaderSize(r, size)
	head, _ := in.Peek(6)
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(in)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errCut
		}
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		in = bufio.NewReaderSize(unpacked{z, "gzip"}, size)
	case bytes.HasPrefix(head, []byte("BZh")):
		in = bufio.NewReaderSize(unpacked{bzip2.NewReader(in), "bzip2"}, size)
	default:
		for magic, name := range packers {
			if bytes.HasPrefix(head, []byte(magic)) {
				return nil, fmt.Errorf("this is compressed by %s: unpack it first (gzip and bzip2 are read as they are)", name)
			}
		}
	}
	head, err := in.Peek(512)
	if err != nil && err != io.EOF && len(head) == 0 {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		_, err = in.Discard(3)
		return in, err
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		return nil, errors.New("this text is UTF-16: save it as UTF-8")
	case bytes.HasPrefix(head, []byte("JEPSEN")):
		return nil, errors.New("this is Jepsen's own binary file, test.jepsen: give the history.edn that stands beside it")
	case len(head) > 262 && bytes.HasPrefix(head[257:], []byte("ustar")):
		return nil, errors.New("this is a tar archive: unpack it, and give the history in it")
	}
	return in, nil
}

// packers are what begins a file that another program must unpack.
var packers = map[string]string{"\x28\xb5\x2f\xfd": "zstd", "\xfd7zXZ\x00": "xz", "PK\x03\x04": "zip", "\x04\x22\x4d\x18": "lz4"}

// errCut is for compressed data that ends too early.
var errCut = errors.New("the file was cut off: what is compressed ends too early")

// unpacked names the packer in what goes wrong while unpacking.
type unpacked struct {
	r    io.Reader
	name string
}

func (u unpacked) Read(b []byte) (int, error) {
	n, err := u.r.Read(b)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = fmt.Errorf("%s: %w", u.name, errCut)
	case err != nil && err != io.EOF:
		err = fmt.Errorf("%s: %w", u.name, err)
	}
	return n, err
}

// formatOf tells the format from how a file begins.
func formatOf(head []byte) (format, error) {
	if bytes.IndexByte(head, 0) >= 0 {
		switch {
		case isCobra(head):
			return cobraFormat, nil
		case isBincode(head):
			return bincodeFormat, nil
		}
		return 0, errors.New("this is a binary file and no history that is understood: of Jepsen's files, give history.edn")
	}
	text := bytes.TrimLeft(head, " \t\r\n\f,")
	if len(text) == 0 {
		return emptyFormat, nil
	}
	line := string(bytes.TrimSpace(firstLine(text)))
	if _, _, _, _, entry := entryIn([]byte(line)); entry && strings.IndexByte("{[(#;", text[0]) < 0 {
		return logFormat, nil
	}
	next := bytes.TrimLeft(text[1:], " \t\r\n\f,")
	switch text[0] {
	case '{':
		switch {
		case isDBCopJSON(text):
			return dbcopJSONFormat, nil
		case bytes.HasPrefix(next, []byte(`"`)):
			return jsonFormat, nil
		}
		return ednFormat, nil
	case '[':
		switch {
		case isDBCopJSON(text):
			return dbcopJSONFormat, nil
		case isDBCop(line):
			return dbcopFormat, nil
		case bytes.HasPrefix(next, []byte(`{"`)) || bytes.HasPrefix(compact(next), []byte(`{"`)):
			return jsonFormat, nil
		case isJSONEntry(next):
			return jsonFormat, nil
		case len(next) > 0 && isLetter(next[0]) && !isEntryVector(next): // [main] INFO ...
			return logFormat, nil
		case stampBegins(next):
			return logFormat, nil
		}
		return ednFormat, nil
	case '(', '#', ';', '\'', '^':
		return ednFormat, nil
	case ')', ']', '}':
		return ednFormat, nil // it says what is wrong
	}
	switch {
	case isPlume(line):
		return plumeFormat, nil
	case isSteps(line):
		return awditFormat, nil
	case isDBCop(line):
		return dbcopFormat, nil
	}
	return logFormat, nil
}

func firstLine(text []byte) []byte {
	if i := bytes.IndexByte(text, '\n'); i >= 0 {
		return text[:i]
	}
	return text
}

// compact is a text without white space.
func compact(text []byte) []byte { return bytes.Join(bytes.Fields(text), nil) }

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// isEntryVector says whether what follows a bracket is an entry of process,
// type and so on, in EDN.
func isEntryVector(text []byte) bool {
	words := bytes.Fields(firstLine(text))
	return len(words) > 1 && words[1][0] == ':'
}

// isJSONEntry says whether what follows a bracket is an entry, or an array of
// entries, that are arrays: [0, "invoke", "write", 1].
func isJSONEntry(text []byte) bool {
	text = bytes.TrimLeft(text, "[ \t\r\n")
	first, rest, ok := bytes.Cut(text, []byte(","))
	rest = bytes.TrimLeft(rest, " \t\r\n")
	if !ok || len(bytes.Fields(first)) != 1 || !bytes.HasPrefix(rest, []byte(`"`)) {
		return false
	}
	name, _, _ := bytes.Cut(rest[1:], []byte(`"`))
	_, known := types[string(name)]
	return known
}

// stampBegins says whether a text begins with a date.
func stampBegins(text []byte) bool {
	return len(text) > 10 && text[4] == '-' && text[7] == '-' && text[0] >= '0' && text[0] <= '9'
}

// lineReader reads the lines of a text that hold something.
type lineReader struct {
	in  *bufio.Reader
	n   int
	err error
}

func (l *lineReader) next() (string, bool) {
	for l.err == nil {
		line, err := l.in.ReadString('\n')
		l.n++
		if err != nil && err != io.EOF {
			l.err = l.errorf("%w", err)
			return "", false
		}
		if line = strings.TrimSpace(line); line != "" {
			if !utf8.ValidString(line) {
				l.err = l.errorf("this is no text")
				return "", false
			}
			return line, true
		}
		if err == io.EOF {
			return "", false
		}
	}
	return "", false
}

func (l *lineReader) errorf(format string, args ...any) error {
	return fmt.Errorf("line %d: %w", l.n, fmt.Errorf(format, args...))
}
