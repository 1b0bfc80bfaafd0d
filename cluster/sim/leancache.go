package sim

import "embed"

// leanSource is what makes a module lean: another version makes another module.
//
//go:embed lean.go leancondition.go leanentry.go leanframe.go leanpointer.go leanread.go leanwrite.go image.go
var leanSource embed.FS
