// Package coding writes and reads records field by field: entries of the log, messages
// between nodes, the file of a log store. Start with [Coder].
package coding

import "encoding/binary"

// Fields reads the fields of a record.
type Fields struct {
	B   []byte // what is left
	Bad bool   // a field was missing
}

// Numbers below this are coded as one byte: most are.
const oneByte = 0x80

// Uint reads a number.
func (f *Fields) Uint() uint64 {
	if len(f.B) > 0 && f.B[0] < oneByte {
		v := f.B[0]
		f.B = f.B[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(f.B)
	return f.skip(v, n)
}

// Int reads a number with a sign.
func (f *Fields) Int() int64 {
	v, n := binary.Varint(f.B)
	return int64(f.skip(uint64(v), n))
}

func (f *Fields) skip(v uint64, n int) uint64 {
	if n <= 0 {
		f.Bad = true
		return 0
	}
	f.B = f.B[n:]
	return v
}

// Bytes reads n bytes, nil for none. They are part of what is read.
func (f *Fields) Bytes(n uint64) []byte {
	if n > uint64(len(f.B)) {
		f.Bad = true
		return nil
	}
	b := f.B[:n:n]
	f.B = f.B[n:]
	if n == 0 {
		return nil
	}
	return b
}

// Coder writes or reads a record, field by field. So one function for each kind of record
// lists its fields for both directions.
type Coder struct {
	Fields        // what is left to read
	Out    []byte // what was written
	Write  bool
}

// Uint codes a number.
func (c *Coder) Uint(v *uint64) {
	switch {
	case !c.Write:
		*v = c.Fields.Uint()
	case *v < oneByte:
		c.Out = append(c.Out, byte(*v))
	default:
		c.Out = binary.AppendUvarint(c.Out, *v)
	}
}

// Int codes a number with a sign.
func (c *Coder) Int(v *int64) {
	if c.Write {
		c.Out = binary.AppendVarint(c.Out, *v)
	} else {
		*v = c.Fields.Int()
	}
}

// Optional codes a number that may be missing.
func (c *Coder) Optional(v **int64) {
	there := *v != nil
	if c.Bool(&there); !there {
		return
	}
	if !c.Write {
		*v = new(int64)
	}
	c.Int(*v)
}

// Bool codes a boolean.
func (c *Coder) Bool(v *bool) {
	n := uint64(0)
	if *v {
		n = 1
	}
	c.Uint(&n)
	*v = n == 1
}

// Bytes codes bytes and how many there are.
func (c *Coder) Bytes(v *[]byte) {
	n := uint64(len(*v))
	c.Uint(&n)
	if c.Write {
		c.Out = append(c.Out, *v...)
	} else {
		*v = c.Fields.Bytes(n)
	}
}

// String codes a string as bytes.
func (c *Coder) String(v *string) {
	n := uint64(len(*v))
	c.Uint(&n)
	if c.Write {
		c.Out = append(c.Out, *v...)
	} else {
		*v = string(c.Fields.Bytes(n))
	}
}
