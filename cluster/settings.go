package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Setting is the value of a setting: what was asked for, or else its default.
func (o Options) Setting(name string, defaults map[string]string) string {
	if v, ok := o.Settings[name]; ok {
		return v
	}
	return defaults[name]
}

// CheckSettings returns an error for a setting that is none of known, which are those of a
// system.
func (o Options) CheckSettings(system string, known ...string) error {
	for _, name := range slices.Sorted(maps.Keys(o.Settings)) {
		if !slices.Contains(known, name) {
			return fmt.Errorf("system %s has no setting %q; known are %s", system, name, strings.Join(known, ", "))
		}
	}
	return nil
}
