package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"coup/cluster/sim"
	"coup/internal/tested"
)

// version tells what this coup was built from, and what was changed for the build: a bug
// report needs no more.
func version() string {
	var b strings.Builder
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	fmt.Fprintf(&b, "coup %s\n", orUnknown(info.Main.Version))
	commit := orUnknown(settings["vcs.revision"])
	if settings["vcs.modified"] == "true" {
		commit += ", with changes"
	}
	fmt.Fprintf(&b, "commit: %s\n", commit)
	fmt.Fprintf(&b, "built with: %s for %s/%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	fmt.Fprintf(&b, "simulated node: %s\n", simulatedNode())
	unchecked := settings["-tags"] == "unchecked" && (runtime.GOOS == "linux" || runtime.GOOS == "darwin")
	fmt.Fprintf(&b, "wazero without checks of memory (internal/unchecked): %s\n", yes(unchecked))
	return b.String()
}

func simulatedNode() string {
	packed, err := sim.NodeModule("")
	if err != nil {
		return "none (make build)"
	}
	node, err := unpacked(packed)
	if err != nil {
		return fmt.Sprintf("damaged: %v", err)
	}
	return fmt.Sprintf("Go's runtime changed for one thread (internal/onethread): %s", yes(bytes.Contains(node, []byte(tested.Mark))))
}

// unpacked returns a program that may be packed with gzip.
func unpacked(packed []byte) ([]byte, error) {
	if !bytes.HasPrefix(packed, []byte{0x1f, 0x8b}) {
		return packed, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
