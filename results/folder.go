package results

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Folder is a folder as an [fs.FS] that opens directories and regular files and nothing else,
// and nothing that lies outside, whatever a name or a symbolic link says. What is opened
// never blocks, as a pipe would. Safe for concurrent use.
type Folder struct{ root *os.Root }

// OpenFolder opens a folder. Close it.
func OpenFolder(dir string) (*Folder, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &Folder{root}, nil
}

// Sub opens a folder in it, which nothing leads out of either. Close it.
func (f *Folder) Sub(dir string) (*Folder, error) {
	if !fs.ValidPath(dir) {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: fs.ErrInvalid}
	}
	root, err := f.root.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &Folder{root}, nil
}

// Close closes the folder; what was opened in it stays open.
func (f *Folder) Close() error { return f.root.Close() }

// Open implements [fs.FS]. Files can be sought in.
func (f *Folder) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	file, err := f.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: name, Err: errors.New("it is neither a file nor a directory")}
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// mostJSON bounds what [DecodeJSON] reads, in bytes.
const mostJSON = 64 << 20

// DecodeJSON is [ReadJSON] for a file system, within bounds: the file may be anything.
func DecodeJSON(fsys fs.FS, name string, v any) error {
	f, err := fsys.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := json.NewDecoder(io.LimitReader(f, mostJSON)).Decode(v); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// maxLine bounds the lines that a [Tail] reads.
const maxLine = 8 << 20

// ErrReplaced says that a file is another one than before, or shorter: whoever reads it has to
// begin anew.
var ErrReplaced = errors.New("the file was replaced")

// Tail reads the lines of a file that is being written, and goes on where it stopped. The
// zero value begins at the beginning. It keeps nothing of the file in memory.
type Tail struct {
	Unread int64 // lines that were too long

	at     int64 // where it goes on
	inLong bool  // in the midst of a line that is too long
	info   fs.FileInfo
}

// Read calls line with every whole line that is new, without its end, until about most bytes
// were read. more says that it stopped for that reason. A last line without an end is left
// for the next time; a file that is not there has no lines.
func (t *Tail) Read(fsys fs.FS, name string, most int64, line func([]byte)) (more bool, err error) {
	f, err := fsys.Open(name)
	if errors.Is(err, fs.ErrNotExist) && t.info == nil {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	if t.info != nil && (!os.SameFile(t.info, info) || info.Size() < t.at) {
		return false, ErrReplaced
	}
	t.info = info
	if t.at > 0 {
		seeker, ok := f.(io.Seeker)
		if !ok {
			return false, &fs.PathError{Op: "seek", Path: name, Err: errors.ErrUnsupported}
		}
		if _, err := seeker.Seek(t.at, io.SeekStart); err != nil {
			return false, err
		}
	}
	r := bufio.NewReaderSize(f, 1<<16)
	var long []byte // of a line that is longer than the buffer
	for read := int64(0); read < most; {
		part, err := r.ReadSlice('\n')
		switch {
		case err == nil:
			whole := int64(len(long) + len(part))
			read, t.at = read+whole, t.at+whole
			if t.inLong {
				t.inLong, t.Unread = false, t.Unread+1
			} else if len(long) > 0 {
				line(bytes.TrimSuffix(append(long, part...), []byte("\n")))
			} else {
				line(bytes.TrimSuffix(part, []byte("\n")))
			}
			long = long[:0]
		case errors.Is(err, bufio.ErrBufferFull):
			if long = append(long, part...); t.inLong || len(long) > maxLine {
				read, t.at, t.inLong = read+int64(len(long)), t.at+int64(len(long)), true
				long = long[:0]
			}
		case err == io.EOF:
			return false, nil
		default:
			return false, err
		}
	}
	return true, nil
}
