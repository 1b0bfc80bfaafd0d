package simulated

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"coup/cluster/raftnode/coding"
)

// WAL keeps raft's log, term and vote in one file that is only appended to,
// for machines where bbolt does not exist. Everything is also in memory; the
// file is read when the node starts.
//
// Each write is a frame with a length and a checksum, which is synced before the next
// one is written. So only the last frame may be torn. It was never acknowledged, and is
// cut off. A broken frame with a whole one behind it was damaged on the disk. Then the
// node must not start, because it would have forgotten entries that it acknowledged, or
// its vote.
//
// The file is rewritten, under another name and then renamed, to drop records that later
// ones replace; and whenever it is opened, because data that an fsync failed to write can
// still be read, but no later fsync will write it. The first frame is written in this
// way, and is never torn.
type WAL struct {
	path  string
	sync  func(path string) error // what fsync does
	flaws Flaws

	writing sync.Mutex // held while appending; guards file, size and broken
	file    *os.File
	size    int64
	broken  error // the first error: after it nobody knows what is on the disk, and nothing is written

	mu    sync.RWMutex // guards what is in memory
	logs  map[uint64]*raft.Log
	first uint64 // 0: no logs
	last  uint64
	keys  map[string][]byte
	live  int64 // bytes of the records that count
}

// Flaws are mistakes that a log store can be told to make.
type Flaws struct {
	TornWrite        bool // a frame that a power cut has torn is read as if it were whole
	NoSync           bool // what is written is not synced
	IgnoredSyncError bool // a failed fsync is ignored
}

const (
	walFile = "raft.wal"
	// A file that is smaller than this is not rewritten.
	walCompact = 1 << 20
	maxFrame   = 256 << 20
)

const (
	recordBegin  = 'b' // of a file: says nothing, so that the first frame is never empty
	recordLog    = 'l'
	recordDelete = 'd'
	recordKey    = 'k'
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// OpenWAL opens or makes the file in dir. sync is told a path and does what
// fsync does.
func OpenWAL(dir string, sync func(path string) error, flaws Flaws) (*WAL, error) {
	w := &WAL{path: filepath.Join(dir, walFile), sync: sync, flaws: flaws, logs: map[uint64]*raft.Log{}, keys: map[string][]byte{}}
	b, err := os.ReadFile(w.path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	at := 0
	for {
		records, ok := nextFrame(b[at:])
		if w.flaws.TornWrite && !ok {
			records, ok = anyFrame(b[at:])
		}
		if !ok {
			break
		}
		if err := w.replay(records); err != nil && !w.flaws.TornWrite {
			return nil, fmt.Errorf("%s at %d: %w", w.path, at, err)
		}
		at = min(at+frameHeader+len(records), len(b))
	}
	rest := b[at:]
	if len(rest) > 0 && (at == 0 || holdsFrame(rest[1:])) && !w.flaws.IgnoredSyncError {
		return nil, fmt.Errorf("%s is damaged at byte %d: put the disk right; without what stood there the node can't keep what it promised", w.path, at)
	}
	if err := w.rewrite(); err != nil {
		return nil, err
	}
	return w, nil
}

const frameHeader = 8

// nextFrame returns the records of the frame that b begins with, if it is whole.
func nextFrame(b []byte) (records []byte, ok bool) {
	if len(b) < frameHeader {
		return nil, false
	}
	size := binary.LittleEndian.Uint32(b)
	if size == 0 || size > maxFrame || int(size) > len(b)-frameHeader {
		return nil, false
	}
	records = b[frameHeader : frameHeader+size]
	return records, crc32.Checksum(records, castagnoli) == binary.LittleEndian.Uint32(b[4:])
}

// anyFrame returns the records of the frame that b seems to begin with, zeros
// where the file has ended (torn-write).
func anyFrame(b []byte) (records []byte, ok bool) {
	if len(b) < frameHeader {
		return nil, false
	}
	size := binary.LittleEndian.Uint32(b)
	if size == 0 || size > maxFrame {
		return nil, false
	}
	if len(b) < 2*frameHeader || int(size) > len(b)+1<<20 {
		return nil, false
	}
	records = make([]byte, size)
	copy(records, b[frameHeader:])
	return records, true
}

// holdsFrame reports whether a whole frame begins anywhere in b.
func holdsFrame(b []byte) bool {
	for i := range b {
		if _, ok := nextFrame(b[i:]); ok {
			return true
		}
	}
	return false
}

// newFrame begins a frame with room for records of so many bytes: they are
// appended to it, and then it is sealed.
func newFrame(size int64) []byte { return make([]byte, frameHeader, frameHeader+size) }

func seal(frame []byte) []byte {
	records := frame[frameHeader:]
	binary.LittleEndian.PutUint32(frame, uint32(len(records)))
	binary.LittleEndian.PutUint32(frame[4:], crc32.Checksum(records, castagnoli))
	return frame
}

// appendRecord appends a record whose body fill appends.
func appendRecord(b []byte, fill func([]byte) []byte) []byte {
	at := len(b)
	b = fill(append(b, 0, 0, 0, 0))
	binary.LittleEndian.PutUint32(b[at:], uint32(len(b)-at-recordHeader))
	return b
}

const recordHeader = 4

func appendLog(b []byte, l *raft.Log) []byte {
	appended, extensions := logExtras(l)
	return appendRecord(b, func(b []byte) []byte {
		b = append(b, recordLog)
		b = binary.AppendUvarint(b, l.Index)
		b = binary.AppendUvarint(b, l.Term)
		b = append(b, byte(l.Type))
		at := int64(0)
		if !appended.IsZero() {
			at = appended.UnixNano()
		}
		b = binary.AppendVarint(b, at)
		b = binary.AppendUvarint(b, uint64(len(l.Data)))
		b = append(b, l.Data...)
		return append(b, *extensions...)
	})
}

func appendKey(b []byte, key string, value []byte) []byte {
	return appendRecord(b, func(b []byte) []byte {
		b = append(b, recordKey)
		b = binary.AppendUvarint(b, uint64(len(key)))
		return append(append(b, key...), value...)
	})
}

// replay applies the records of a frame to what is in memory.
func (w *WAL) replay(records []byte) error {
	for len(records) > 0 {
		if len(records) < recordHeader {
			return errGarbled
		}
		size := binary.LittleEndian.Uint32(records)
		records = records[recordHeader:]
		if size == 0 || uint64(size) > uint64(len(records)) {
			return errGarbled
		}
		if err := w.apply(records[:size:size]); err != nil {
			return err
		}
		records = records[size:]
	}
	return nil
}

var errGarbled = errors.New("garbled record")

// apply applies a record to what is in memory.
func (w *WAL) apply(body []byte) error {
	f := &coding.Fields{B: body[1:]}
	switch body[0] {
	case recordBegin:
	case recordLog:
		l := &raft.Log{Index: f.Uint(), Term: f.Uint()}
		if kind := f.Bytes(1); !f.Bad {
			l.Type = raft.LogType(kind[0])
		}
		appended, extensions := logExtras(l)
		if at := f.Int(); at != 0 {
			*appended = time.Unix(0, at)
		}
		l.Data = f.Bytes(f.Uint())
		*extensions = f.Bytes(uint64(len(f.B)))
		if !f.Bad {
			w.put(l)
		}
	case recordDelete:
		lo, hi := f.Uint(), f.Uint()
		if !f.Bad {
			w.drop(lo, hi)
		}
	case recordKey:
		key := string(f.Bytes(f.Uint()))
		if !f.Bad {
			w.set(key, f.Bytes(uint64(len(f.B))))
		}
	default:
		return fmt.Errorf("record of unknown kind %q", body[0])
	}
	if f.Bad {
		return errGarbled
	}
	return nil
}

func logSize(l *raft.Log) int64 {
	_, extensions := logExtras(l)
	return int64(recordHeader + 32 + len(l.Data) + len(*extensions))
}

// put, drop and set change what is in memory. The caller holds the lock.

func (w *WAL) put(l *raft.Log) {
	if old := w.logs[l.Index]; old != nil {
		w.live -= logSize(old)
	}
	w.logs[l.Index] = l
	w.live += logSize(l)
	if w.first == 0 || l.Index < w.first {
		w.first = l.Index
	}
	w.last = max(w.last, l.Index)
}

func (w *WAL) drop(lo, hi uint64) {
	for i := max(lo, w.first); i <= min(hi, w.last); i++ {
		if old := w.logs[i]; old != nil {
			w.live -= logSize(old)
			delete(w.logs, i)
		}
	}
	switch {
	case len(w.logs) == 0:
		w.first, w.last = 0, 0
	case lo <= w.first:
		w.first = max(w.first, hi+1)
	case hi >= w.last:
		w.last = min(w.last, lo-1)
	}
}

func (w *WAL) set(key string, value []byte) {
	if _, ok := w.keys[key]; !ok {
		w.live += int64(recordHeader + len(key) + 16)
	}
	w.keys[key] = value
}

// write seals a frame, appends it to the file, syncs that, and then changes what is
// in memory.
func (w *WAL) write(b []byte, change func()) error {
	w.writing.Lock()
	defer w.writing.Unlock()
	if w.broken != nil {
		return w.broken
	}
	_, err := w.file.WriteAt(seal(b), w.size)
	if err == nil && !w.flaws.NoSync {
		err = w.sync(w.path)
	}
	if w.flaws.IgnoredSyncError {
		err = nil
	}
	if err != nil {
		w.broken = fmt.Errorf("%s: %w", w.path, err)
		return w.broken
	}
	w.size += int64(len(b))
	w.mu.Lock()
	change()
	again := w.size > walCompact && w.size > 2*w.live
	w.mu.Unlock()
	if again {
		if err := w.rewrite(); err != nil {
			w.broken = fmt.Errorf("%s: write anew: %w", w.path, err)
			return w.broken
		}
	}
	return nil
}

// rewrite rewrites the file with the records that still count. The caller holds writing.
func (w *WAL) rewrite() error {
	w.mu.RLock()
	b := appendRecord(newFrame(w.live), func(b []byte) []byte { return append(b, recordBegin) })
	for _, key := range sortedKeys(w.keys) {
		b = appendKey(b, key, w.keys[key])
	}
	for i := w.first; i <= w.last && i > 0; i++ {
		if l := w.logs[i]; l != nil {
			b = appendLog(b, l)
		}
	}
	w.mu.RUnlock()
	next := w.path + ".new"
	f, err := os.Create(next)
	if err != nil {
		return err
	}
	if _, err = f.Write(seal(b)); err == nil {
		err = w.sync(next)
	}
	if err == nil {
		err = os.Rename(next, w.path)
	}
	if err == nil {
		err = w.sync(filepath.Dir(w.path))
	}
	if err != nil {
		f.Close()
		return err
	}
	if w.file != nil {
		w.file.Close()
	}
	w.file, w.size = f, int64(len(b))
	return nil
}

// Close closes the file.
func (w *WAL) Close() error {
	w.writing.Lock()
	defer w.writing.Unlock()
	if w.broken == nil {
		w.broken = os.ErrClosed
	}
	return w.file.Close()
}

// FirstIndex implements raft.LogStore.
func (w *WAL) FirstIndex() (uint64, error) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.first, nil
}

// LastIndex implements raft.LogStore.
func (w *WAL) LastIndex() (uint64, error) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.last, nil
}

// GetLog implements raft.LogStore.
func (w *WAL) GetLog(index uint64, log *raft.Log) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	l := w.logs[index]
	if l == nil {
		return raft.ErrLogNotFound
	}
	*log = *l
	return nil
}

// StoreLog implements raft.LogStore.
func (w *WAL) StoreLog(l *raft.Log) error { return w.StoreLogs([]*raft.Log{l}) }

// StoreLogs implements raft.LogStore.
func (w *WAL) StoreLogs(logs []*raft.Log) error {
	size := int64(0)
	for _, l := range logs {
		size += logSize(l)
	}
	b, kept := newFrame(size), make([]raft.Log, len(logs))
	for i, l := range logs {
		b = appendLog(b, l)
		kept[i] = *l
	}
	return w.write(b, func() {
		for i := range kept {
			w.put(&kept[i])
		}
	})
}

// DeleteRange implements raft.LogStore.
func (w *WAL) DeleteRange(lo, hi uint64) error {
	b := appendRecord(newFrame(0), func(b []byte) []byte {
		return binary.AppendUvarint(binary.AppendUvarint(append(b, recordDelete), lo), hi)
	})
	return w.write(b, func() { w.drop(lo, hi) })
}

// Set implements raft.StableStore.
func (w *WAL) Set(key, value []byte) error {
	k, v := string(key), append([]byte(nil), value...)
	return w.write(appendKey(newFrame(0), k, v), func() { w.set(k, v) })
}

// Get implements raft.StableStore.
func (w *WAL) Get(key []byte) ([]byte, error) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	v, ok := w.keys[string(key)]
	if !ok {
		return nil, errNoKey
	}
	return v, nil
}

// SetUint64 implements raft.StableStore.
func (w *WAL) SetUint64(key []byte, v uint64) error {
	return w.Set(key, binary.BigEndian.AppendUint64(nil, v))
}

// GetUint64 implements raft.StableStore.
func (w *WAL) GetUint64(key []byte) (uint64, error) {
	b, err := w.Get(key)
	if err != nil {
		return 0, err
	}
	if len(b) != 8 {
		return 0, fmt.Errorf("the value of %s has %d bytes", key, len(b))
	}
	return binary.BigEndian.Uint64(b), nil
}

// Raft knows this error by its text.
var errNoKey = errors.New("not found")

func sortedKeys(m map[string][]byte) []string { return slices.Sorted(maps.Keys(m)) }
