package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Setting is the value of a setting: what was asked for, or else its default.
func (o Options) Setting(name string, defaults map[string]string) string {
	if v, ok := o.Settings[name]; ok {
		return v
	}
	return defaults[name]
}

// Number is the value of a setting that is a whole number, as [PositiveSetting] has found.
func (o Options) Number(name string, defaults map[string]string) int64 {
	n, _ := strconv.ParseInt(o.Setting(name, defaults), 10, 32)
	return n
}

// PositiveSetting returns an error unless the value of a setting is a whole number above 0.
func PositiveSetting(name, value string) error {
	if n, err := strconv.ParseInt(value, 10, 32); err != nil || n <= 0 {
		return fmt.Errorf("%s is a whole number above 0, not %q", name, value)
	}
	return nil
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
