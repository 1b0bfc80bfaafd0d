package raftnode

import "runtime/debug"

// raftRelease is the release of hashicorp/raft that is in this program, such as
// v1.7.3; "" if the program does not say.
func raftRelease() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, d := range info.Deps {
		if d.Path != "github.com/hashicorp/raft" {
			continue
		}
		if d.Replace != nil {
			return d.Replace.Version
		}
		return d.Version
	}
	return ""
}
