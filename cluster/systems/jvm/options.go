package jvm

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"coup/cluster"
	"coup/images"
)

// Settings are what a system can be told by --set.
type Settings struct {
	Defaults map[string]string
	// Words are the values of those that are words; all others are whole numbers above 0.
	Words map[string][]string
	// Milliseconds are those that are times, of a second or more.
	Milliseconds []string
}

// Timing is that of a system whose manager takes over when the session of the old one with
// ZooKeeper (session-timeout) is over, and some time after that. What leads again after everything was broken is
// several JVMs in a row: once in HDFS, 66 s at a load average of 55 to 90 on two processors.
func (s Settings) Timing(o cluster.Options, start, restart, takesOver time.Duration) cluster.Timing {
	session := time.Duration(o.Number("session-timeout", s.Defaults)) * time.Millisecond
	return cluster.Timing{Start: start, Restart: restart, Failover: session + takesOver, Election: 2*time.Minute + 2*session}
}

// Check says what is wrong with the options of a system that has no planted bugs. reads are its
// modes of reads.
func (s Settings) Check(system string, o cluster.Options, reads ...string) error {
	if o.Bug != "" {
		return fmt.Errorf("%s has no planted bug %q, only its own: see --system-version", system, o.Bug)
	}
	if o.Reads != "" && !slices.Contains(reads, o.Reads) {
		return fmt.Errorf("unknown mode of reads %q; %s has %s", o.Reads, system, strings.Join(reads, " and "))
	}
	if err := o.CheckSettings(system, slices.Sorted(maps.Keys(s.Defaults))...); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(o.Settings)) {
		value := o.Settings[name]
		if words, ok := s.Words[name]; ok {
			if !slices.Contains(words, value) {
				return fmt.Errorf("%s is %s, not %q", name, strings.Join(words, " or "), value)
			}
		} else if err := cluster.PositiveSetting(name, value); err != nil {
			return err
		}
	}
	for _, name := range s.Milliseconds {
		if n := o.Number(name, s.Defaults); n < 1000 {
			return fmt.Errorf("%s is at least 1000 (milliseconds), not %d", name, n)
		}
	}
	return nil
}

// Release is the release of a system that the options ask for. It must be one of version
// major, and of a minor version from the least on.
func Release(system string, o cluster.Options, standard string, major, least int) (string, error) {
	version := strings.TrimPrefix(o.Version, "v")
	if version == "" {
		version = standard
	}
	var x, y, z int
	if _, err := fmt.Sscanf(version, "%d.%d.%d", &x, &y, &z); err != nil || x != major || y < least {
		return "", fmt.Errorf("%q is no release of %s %d from %[3]d.%d.0 on, such as %s", o.Version, system, major, least, standard)
	}
	return version, nil
}

// Recipe is a recipe for an image with jars in a directory. Jars of native code for other
// machines than those of containers on Linux and amd64, and those named, are left out.
func Recipe(name, version, dir string, debian []string, jars []string, without ...string) images.Recipe {
	return images.Recipe{Name: name, Version: version, Debian: debian, Java: &images.Java{
		Dir: dir, Jars: jars, Without: append(without, "netty-tcnative-*.jar", "*-osx-*.jar", "*-windows-*.jar", "*-linux-aarch_64.jar", "*-linux-riscv64.jar"),
	}}
}
