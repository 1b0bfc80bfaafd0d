package guest

import "unsafe"

// Functions of the machine. They return 0, or an errno of WASI.

//go:wasmimport coup listen
//go:noescape
func hostListen(port uint32) uint32

//go:wasmimport coup dial
//go:noescape
func hostDial(id uint32, addr string)

//go:wasmimport coup send
//go:noescape
func hostSend(id uint32, p unsafe.Pointer, n uint32) uint32

//go:wasmimport coup close
//go:noescape
func hostClose(id uint32)

//go:wasmimport coup sync
//go:noescape
func hostSync(id uint32, path string)
