package images

import (
	"archive/tar"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// rootWriter writes the root file system of an image as an archive: the same content,
// the same bytes.
type rootWriter struct {
	tar  *tar.Writer
	made map[string]byte // the type of each entry, by its absolute path
}

// epoch is the time of everything in an image.
var epoch = time.Unix(0, 0)

// merged are the directories that are links into /usr, as in Debian since release 12.
var merged = []string{"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}

// pruned are the directories that no program of an image needs.
var pruned = []string{
	"/usr/share/doc", "/usr/share/man", "/usr/share/info", "/usr/share/locale", "/usr/share/lintian", "/usr/share/bug",
	"/usr/share/icons", "/usr/share/fonts", "/usr/share/i18n", "/usr/share/bash-completion", "/var/cache", "/usr/lib/systemd",
}

func newRootWriter(w io.Writer) *rootWriter {
	return &rootWriter{tar.NewWriter(w), map[string]byte{"/": tar.TypeDir}}
}

// place is the path of an entry of a package in the image; ok is false if it is left out.
func place(name string) (at string, ok bool) {
	at = path.Clean("/" + name)
	for _, m := range merged {
		if at == m {
			return "/usr" + m, true
		}
		if strings.HasPrefix(at, m+"/") {
			at = "/usr" + at
			break
		}
	}
	for _, p := range pruned {
		if at == p || strings.HasPrefix(at, p+"/") {
			return at, false
		}
	}
	return at, true
}

// directory makes a directory and those above it, if they are not there.
func (w *rootWriter) directory(dir string, mode int64) error {
	if _, ok := w.made[dir]; ok {
		return nil
	}
	if err := w.directory(path.Dir(dir), 0o755); err != nil {
		return err
	}
	return w.header(dir, &tar.Header{Typeflag: tar.TypeDir, Mode: mode})
}

// header writes the header of an entry whose directory is there.
func (w *rootWriter) header(at string, h *tar.Header) error {
	w.made[at] = h.Typeflag
	h.Name = at[1:]
	if h.Typeflag == tar.TypeDir {
		h.Name += "/"
	}
	h.ModTime = epoch
	return w.tar.WriteHeader(h)
}

// file writes a file; one that is there already stays.
func (w *rootWriter) file(at string, mode int64, content []byte) error {
	if _, ok := w.made[at]; ok {
		return nil
	}
	if err := w.directory(path.Dir(at), 0o755); err != nil {
		return err
	}
	if err := w.header(at, &tar.Header{Typeflag: tar.TypeReg, Mode: mode, Size: int64(len(content))}); err != nil {
		return err
	}
	_, err := w.tar.Write(content)
	return err
}

// tree copies a directory of this machine with all that is in it; the owner is root.
func (w *rootWriter) tree(dir, at string) error {
	return filepath.WalkDir(dir, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		to := path.Join(at, filepath.ToSlash(name))
		info, err := e.Info()
		if err != nil {
			return err
		}
		switch {
		case e.IsDir():
			return w.directory(to, 0o755)
		case info.Mode().IsRegular():
			content, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			return w.file(to, int64(info.Mode().Perm()|0o444), content)
		case info.Mode()&fs.ModeSymlink != 0:
			link, err := os.Readlink(file)
			if err != nil {
				return err
			}
			return w.header(to, &tar.Header{Typeflag: tar.TypeSymlink, Mode: 0o777, Linkname: filepath.ToSlash(link)})
		}
		return fmt.Errorf("%s is of a kind that an image can't hold (%v)", file, info.Mode())
	})
}

// add copies what is in an archive to below a directory.
func (w *rootWriter) add(archive io.Reader, under string) error {
	for r := tar.NewReader(archive); ; {
		from, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		at, ok := place(path.Join(under, path.Clean("/"+from.Name)))
		if _, there := w.made[at]; !ok || there {
			continue
		}
		to := &tar.Header{Typeflag: from.Typeflag, Mode: from.Mode, Uid: from.Uid, Gid: from.Gid}
		switch from.Typeflag {
		case tar.TypeDir:
		case tar.TypeReg:
			to.Size = from.Size
		case tar.TypeSymlink:
			to.Linkname = from.Linkname
		case tar.TypeLink:
			target, ok := place(path.Join(under, path.Clean("/"+from.Linkname)))
			if !ok {
				return fmt.Errorf("%s is a hard link to %s, which is left out", from.Name, from.Linkname)
			}
			to.Linkname = target[1:]
		default:
			return fmt.Errorf("%s is of a kind that an image can't hold (%c)", from.Name, from.Typeflag)
		}
		if err := cmp.Or(w.directory(path.Dir(at), 0o755), w.header(at, to)); err != nil {
			return err
		}
		if _, err := io.Copy(w.tar, r); err != nil {
			return err
		}
	}
}

// close adds what every image has, and ends the archive. debian is said of images that
// hold Debian's packages.
func (w *rootWriter) close(debian bool) error {
	files := map[string]string{
		"/etc/passwd": "root:x:0:0:root:/:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n",
		"/etc/group":  "root:x:0:\nnobody:x:65534:\n",
	}
	errs := []error{w.directory("/tmp", 0o1777)}
	if debian {
		files["/etc/nsswitch.conf"] = "passwd: files\ngroup: files\nhosts: files dns\n"
		for _, m := range merged {
			if w.made["/usr"+m] == tar.TypeDir {
				errs = append(errs, w.header(m, &tar.Header{Typeflag: tar.TypeSymlink, Mode: 0o777, Linkname: "usr" + m}))
			}
		}
	}
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		errs = append(errs, w.file(name, 0o644, []byte(files[name])))
	}
	return errors.Join(append(errs, w.tar.Close())...)
}
