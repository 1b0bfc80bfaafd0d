package engine

import (
	"slices"
	"testing"
)

func TestCompiledCodeIsFound(t *testing.T) {
	const maps = `00400000-02400000 r-xp 00000000 fe:00 1234                               /bin/coup
02400000-02600000 r--p 02000000 fe:00 1234                               /bin/coup
7f0000000000-7f0001276000 r-xp 00000000 00:00 0 
7f0010000000-7f0010400000 r-xp 00000000 00:00 0 
7f0020000000-7f00203ff000 r-xp 00000000 00:00 0 
7f0030000000-7f0050000000 rw-p 00000000 00:00 0 
7ffd00000000-7ffd10000000 r-xp 00000000 00:00 0                          [vdso]
`
	want := []region{{0x7f0000000000, 0x7f0001276000}, {0x7f0010000000, 0x7f0010400000}}
	if found := compiledCode([]byte(maps)); !slices.Equal(found, want) {
		t.Errorf("found %x, want %x", found, want)
	}
}
