package engine

import "encoding/binary"

// Go's linker leaves the zeros out of a module's data. So the data are a hundred
// thousand pieces, which must be copied into the memory of every process that starts.
// takeData puts them together once: rest is the module without its data, and image the
// beginning of its memory. If a module is not like those that Go makes, ok is false, and
// the module stays as it is.
func takeData(module []byte) (rest, image []byte, ok bool) {
	if len(module) < moduleHeader {
		return nil, nil, false
	}
	rest = append(rest, module[:moduleHeader]...)
	room := uint64(0)
	for r := (leb{b: module[moduleHeader:]}); len(r.b) > 0; {
		all := r.b
		id := r.byte()
		section := leb{b: r.take(r.uint())}
		if r.bad {
			return nil, nil, false
		}
		switch id {
		case sectionMemory:
			if section.uint() != 1 {
				return nil, nil, false // there may be several
			}
			section.byte() // whether there is a bound
			room = section.uint() << 16
		case sectionDataCount:
			return nil, nil, false // code may ask for data later
		case sectionData:
			if image, ok = section.image(room); !ok {
				return nil, nil, false
			}
			continue
		}
		rest = append(rest, all[:len(all)-len(r.b)]...)
	}
	return rest, image, ok
}

// moduleHeader is what a module begins with, before its sections.
const moduleHeader = 8

// Sections of a module, by their ids.
const (
	sectionCustom    = 0
	sectionType      = 1
	sectionFunction  = 3
	sectionMemory    = 5
	sectionCode      = 10
	sectionData      = 11
	sectionDataCount = 12
)

// image reads the data section of a module whose memory has this size when it starts.
func (r *leb) image(room uint64) (image []byte, ok bool) {
	for range r.uint() {
		// Always memory 0, at a fixed place.
		if r.byte() != 0 || r.byte() != opI32Const {
			return nil, false
		}
		at := uint64(r.int())
		if r.byte() != opEnd {
			return nil, false
		}
		data := r.take(r.uint())
		end := at + uint64(len(data))
		if r.bad || at > room || end > room {
			return nil, false
		}
		if end > uint64(len(image)) {
			image = append(image, make([]byte, end-uint64(len(image)))...)
		}
		copy(image[at:], data)
	}
	return image, !r.bad && len(r.b) == 0
}

// leb reads numbers in LEB128, and what lies between them.
type leb struct {
	b   []byte
	bad bool
}

func (r *leb) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.b, r.bad = nil, true
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *leb) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *leb) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

// int is a number of 32 bits with a sign.
func (r *leb) int() int32 { return int32(r.int64()) }

// int64 is a number with a sign, which is the second highest bit of its last byte.
func (r *leb) int64() (v int64) {
	for shift := 0; shift < 70; shift += 7 {
		b := r.byte()
		v |= int64(b&0x7f) << shift
		if b < 0x80 {
			if b&0x40 != 0 && shift < 57 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
	r.bad = true
	return 0
}
