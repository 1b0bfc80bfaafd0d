package serve

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"

	"coup/plan"
	"coup/results"
)

const (
	mostPacked = 2 << 30 // bytes of the files of a run that is sent
	mostFiles  = 10_000
)

// download sends a run as an archive: its regular files as they are now, and nothing that a
// symbolic link names. A run that is too large is refused before anything is sent.
func (s *server) download(w http.ResponseWriter, r *http.Request) {
	run, dir, err := s.runAt(r.PathValue("path"))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer run.Close()
	var stored plan.Stored
	if results.DecodeJSON(run, results.PlanFile, &stored) != nil || stored.Run == "" {
		http.NotFound(w, r)
		return
	}
	if !s.mayRead(w, r) {
		return
	}
	defer func() { <-s.busy }()
	names, size := []string{}, int64(0)
	fs.WalkDir(run, ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := fs.Stat(run, p); err == nil {
				names, size = append(names, p), size+info.Size()
			}
		}
		if len(names) > mostFiles || size > mostPacked {
			return fs.SkipAll
		}
		return nil // what is gone by now, or not ours to read, is left out
	})
	if len(names) > mostFiles || size > mostPacked {
		http.Error(w, fmt.Sprintf("The run is too large to be sent (more than %d GiB, or %d files): pack %s yourself.", mostPacked>>30, mostFiles, path.Join(s.name, dir)), http.StatusRequestEntityTooLarge)
		return
	}
	base := path.Base(dir)
	if base == "." {
		base = "run"
	}
	w.Header().Set("Content-Type", "application/gzip")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": base + ".tar.gz"}))
	zip := gzip.NewWriter(w)
	out := tar.NewWriter(zip)
	for _, name := range names {
		if err := pack(out, run, name, path.Join(base, name)); err != nil {
			panic(http.ErrAbortHandler) // the only way to say that what was sent is not whole
		}
	}
	if out.Close() != nil || zip.Close() != nil {
		panic(http.ErrAbortHandler)
	}
}

// pack adds a file, as long as it is now: it may grow meanwhile. A file that is gone is left
// out.
func pack(out *tar.Writer, run fs.FS, name, as string) error {
	f, err := run.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: as, Size: info.Size(), Mode: 0o644, ModTime: info.ModTime()}); err != nil {
		return err
	}
	_, err = io.CopyN(out, f, info.Size())
	return err
}
