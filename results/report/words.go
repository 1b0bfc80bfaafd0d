package report

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"coup/harness"
)

// count writes n with commas: 100,000.
func count(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// plural is "1 fault", "2 faults".
func plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return count(n) + " " + noun
}

// clock writes a moment of the run: 12.345 s.
func clock(d time.Duration) string {
	return fmt.Sprintf("%.3f s", d.Seconds())
}

// millis writes a length of time: 0.4 ms, 12 ms, 1,234 ms; "–" for one that cannot be told.
func millis(d time.Duration) string {
	switch ms := float64(d) / 1e6; {
	case d < 0:
		return "–"
	case ms < 10:
		return strconv.FormatFloat(math.Round(ms*10)/10, 'f', -1, 64) + " ms"
	default:
		return count(int(math.Round(ms))) + " ms"
	}
}

// span writes how long something took where it may be long: 1,234 ms, 12.3 s, 1 h 2 min.
func span(d time.Duration) string {
	switch minutes := int(d.Round(time.Minute).Minutes()); {
	case d < 10*time.Second && d%time.Second != 0:
		return millis(d)
	case d < 10*time.Minute:
		return strconv.FormatFloat(math.Round(d.Seconds()*10)/10, 'f', -1, 64) + " s"
	case minutes%60 == 0:
		return count(minutes/60) + " h"
	case minutes < 60:
		return count(minutes) + " min"
	default:
		return fmt.Sprintf("%s h %d min", count(minutes/60), minutes%60)
	}
}

// typeName is how the type of an operation stands in the report; one that never ended is info.
func typeName(t harness.Type) string {
	if t == harness.Invoke {
		return harness.Info.String()
	}
	return t.String()
}

// seconds is a moment or a length of time in the page's data: seconds, exact to the microsecond.
type seconds float64

func inSeconds(d time.Duration) seconds { return seconds(d.Seconds()) }

// MarshalJSON writes null where there is no number.
func (s seconds) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(s)) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, math.Round(float64(s)*1e6)/1e6, 'f', -1, 64), nil
}
