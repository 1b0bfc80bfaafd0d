package machine

import (
	"io"
	"io/fs"

	"github.com/tetratelabs/wazero/experimental/sys"
	wsys "github.com/tetratelabs/wazero/sys"

	"coup/cluster/sim/disk"
	"coup/cluster/sim/guest"
	"coup/harness"
)

// files shows a process its machine's disk, and the file of its events.
type files struct {
	sys.UnimplementedFS
	p *Process
}

func (f files) stored() *disk.Disk { return f.p.m.storage.disk }

func stat(n *disk.Inode) wsys.Stat_t {
	st := wsys.Stat_t{Ino: n.Number(), Mode: 0o644, Nlink: 1, Size: int64(n.Size()), Atim: n.Modified(), Mtim: n.Modified(), Ctim: n.Modified()}
	if n.IsDir() {
		st.Mode = fs.ModeDir | 0o755
	}
	return st
}

// Stat implements sys.FS.
func (f files) Stat(p string) (wsys.Stat_t, sys.Errno) {
	n, errno := f.stored().Walk(p)
	if errno != 0 {
		return wsys.Stat_t{}, errno
	}
	return stat(n), 0
}

// Lstat implements sys.FS. There are no symbolic links.
func (f files) Lstat(p string) (wsys.Stat_t, sys.Errno) { return f.Stat(p) }

// Mkdir implements sys.FS.
func (f files) Mkdir(p string, _ fs.FileMode) sys.Errno {
	_, errno := f.create(p, true)
	return f.named(errno, "mkdir", p, "")
}

func (f files) create(p string, dir bool) (*disk.Inode, sys.Errno) {
	if f.p.m.storage.fault.Full {
		return nil, f.p.foundFull()
	}
	return f.stored().Create(p, dir)
}

// foundFull is the answer of a call that found the disk full.
func (p *Process) foundFull() sys.Errno {
	p.trouble.refused++
	p.trouble.full = true
	return NoSpace
}

// Rename implements sys.FS.
func (f files) Rename(from, to string) sys.Errno {
	return f.named(f.stored().Rename(from, to), "rename", from, to)
}

// Rmdir implements sys.FS.
func (f files) Rmdir(p string) sys.Errno { return f.named(f.stored().Remove(p, true), "rmdir", p, "") }

// Unlink implements sys.FS.
func (f files) Unlink(p string) sys.Errno {
	return f.named(f.stored().Remove(p, false), "remove", p, "")
}

// named traces a change of a name that succeeded.
func (f files) named(errno sys.Errno, how, name, to string) sys.Errno {
	if errno == 0 {
		f.p.m.trace.name(f.p, how, name, to)
	}
	return errno
}

// Utimens implements sys.FS.
func (f files) Utimens(p string, _, mtime int64) sys.Errno {
	n, errno := f.stored().Walk(p)
	if errno == 0 {
		n.SetModified(mtime)
	}
	return errno
}

// OpenFile implements sys.FS.
func (f files) OpenFile(p string, flag sys.Oflag, _ fs.FileMode) (sys.File, sys.Errno) {
	if disk.Clean(p) == disk.Clean(guest.EventsPath) {
		return &eventFile{p: f.p}, 0
	}
	n, errno := f.stored().Walk(p)
	switch {
	case errno == sys.ENOENT && flag&sys.O_CREAT != 0:
		n, errno = f.create(p, false)
		f.named(errno, "create", p, "")
	case errno == 0 && flag&sys.O_CREAT != 0 && flag&sys.O_EXCL != 0:
		errno = sys.EEXIST
	case errno == 0 && flag&sys.O_DIRECTORY != 0 && !n.IsDir():
		errno = sys.ENOTDIR
	}
	if errno != 0 {
		return nil, errno
	}
	if flag&sys.O_TRUNC != 0 && !n.IsDir() && n.Size() > 0 {
		f.named(0, "truncate", p, "")
		f.stored().Truncate(n, 0)
	}
	return &file{p: f.p, path: p, place: place[int64]{n: n}, append: flag&sys.O_APPEND != 0}, 0
}

// file is an open file or directory.
type file struct {
	unimplemented
	place[int64]
	p      *Process
	path   string // that it was opened by
	append bool
}

// unimplemented gives way to place where both have a method.
type unimplemented struct{ sys.UnimplementedFile }

// place is where in a file or directory the next read begins. It is generic
// because go vet takes a Seek of int64 that returns no error for a mistake.
type place[T ~int64] struct {
	n      *disk.Inode
	off    T
	listed int // entries of a directory
}

// Seek implements sys.File.
func (f *place[T]) Seek(offset T, whence int) (T, sys.Errno) {
	if f.n.IsDir() {
		if offset != 0 || whence != io.SeekStart {
			return 0, sys.EINVAL
		}
		f.listed = 0
		return 0, 0
	}
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += f.off
	case io.SeekEnd:
		offset += T(f.n.Size())
	default:
		return 0, sys.EINVAL
	}
	if offset < 0 {
		return 0, sys.EINVAL
	}
	f.off = offset
	return offset, 0
}

func (f *file) Ino() (wsys.Inode, sys.Errno)     { return f.n.Number(), 0 }
func (f *file) IsDir() (bool, sys.Errno)         { return f.n.IsDir(), 0 }
func (f *file) IsAppend() bool                   { return f.append }
func (f *file) SetAppend(on bool) sys.Errno      { f.append = on; return 0 }
func (f *file) Stat() (wsys.Stat_t, sys.Errno)   { return stat(f.n), 0 }
func (f *file) Utimens(_, mtime int64) sys.Errno { f.n.SetModified(mtime); return 0 }
func (f *file) Datasync() sys.Errno              { return f.Sync() }
func (f *file) Read(b []byte) (n int, e sys.Errno) {
	n, e = f.Pread(b, f.off)
	f.off += int64(n)
	return
}

// Pread implements sys.File.
func (f *file) Pread(b []byte, off int64) (int, sys.Errno) {
	switch {
	case f.n.IsDir():
		return 0, sys.EISDIR
	case off < 0:
		return 0, sys.EINVAL
	case off >= int64(f.n.Size()):
		return 0, 0
	}
	n, wrong := f.n.Read(b, int(off))
	f.p.trouble.refused += wrong
	return n, 0
}

// Readdir implements sys.File.
func (f *file) Readdir(most int) (all []sys.Dirent, errno sys.Errno) {
	if !f.n.IsDir() {
		return nil, sys.ENOTDIR
	}
	names := f.n.Names()
	for f.listed < len(names) && (most < 0 || len(all) < most) {
		n := f.n.Entry(names[f.listed])
		all = append(all, sys.Dirent{Ino: n.Number(), Name: names[f.listed], Type: stat(n).Mode.Type()})
		f.listed++
	}
	return all, 0
}

// Write implements sys.File.
func (f *file) Write(b []byte) (int, sys.Errno) {
	if f.append {
		f.off = int64(f.n.Size())
	}
	n, errno := f.Pwrite(b, f.off)
	f.off += int64(n)
	return n, errno
}

// Pwrite implements sys.File.
func (f *file) Pwrite(b []byte, off int64) (int, sys.Errno) {
	switch {
	case f.n.IsDir():
		return 0, sys.EISDIR
	case off < 0:
		return 0, sys.EINVAL
	}
	if over := int(off) + len(b) - f.n.Size(); over > 0 {
		fits := len(b) - over + f.p.m.storage.extend(over) // what is skipped takes room, too
		if fits <= 0 {
			return 0, f.p.foundFull()
		}
		b = b[:fits]
	}
	f.p.m.trace.write(f, b, off)
	f.p.m.storage.disk.Write(f.n, b, int(off))
	f.n.SetModified(f.p.wall())
	return len(b), 0
}

// Truncate implements sys.File.
func (f *file) Truncate(size int64) sys.Errno {
	switch {
	case f.n.IsDir():
		return sys.EISDIR
	case size < 0:
		return sys.EINVAL
	}
	if over := int(size) - f.n.Size(); over > 0 && f.p.m.storage.extend(over) < over {
		return f.p.foundFull()
	}
	f.p.m.trace.name(f.p, "truncate", f.path, "")
	f.p.m.storage.disk.Truncate(f.n, int(size))
	return 0
}

// Sync implements sys.File: the program waits for it as a whole. Programs that
// want to do something else meanwhile call guest.Sync.
func (f *file) Sync() sys.Errno {
	p, ended := f.p, false
	var errno sys.Errno
	traced := p.m.trace.sync(p, f.path)
	p.m.storage.fsync(f.n, p.turn.ahead, func(e sys.Errno) {
		errno, ended = e, true
		p.wakeAt(p.m.w.Now())
	})
	for !ended {
		p.park(harness.Forever, false)
	}
	if errno != 0 {
		p.trouble.refused++
	}
	p.m.trace.synced(p, f.path, traced, errno)
	return errno
}

// eventFile is where a process reads its events.
type eventFile struct {
	sys.UnimplementedFile
	p *Process
}

func (f *eventFile) Stat() (wsys.Stat_t, sys.Errno) {
	return wsys.Stat_t{Mode: fs.ModeCharDevice | fs.ModeDevice | 0o400, Nlink: 1}, 0
}

// Read implements sys.File.
func (f *eventFile) Read(b []byte) (int, sys.Errno) {
	n := f.p.readEvents(b)
	if n == 0 {
		return 0, sys.EAGAIN
	}
	return n, 0
}

// Poll implements sys.PollableFile. It is only there to say that the file can
// be polled; the process polls it itself.
func (f *eventFile) Poll(sys.Pflag, int32) (bool, sys.Errno) { return len(f.p.inbox.events) > 0, 0 }

// IsNonblock implements sys.PollableFile.
func (f *eventFile) IsNonblock() bool { return true }

// SetNonblock implements sys.PollableFile.
func (f *eventFile) SetNonblock(bool) sys.Errno { return 0 }
