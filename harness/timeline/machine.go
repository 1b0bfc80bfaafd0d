package timeline

import (
	"fmt"

	"coup/harness"
)

// Overloaded is how many threads have to be ready for each processor of the machine, on
// average, for a bound on time to say more about the machine than about the system: each
// thread gets a sixteenth of the time that it could use. Two processors on which five nodes
// work as fast as they can, beside two other jobs, have 3 to 8. Of runs of real systems on two
// processors, 16 with a mean of 4 to 15 came to a verdict, and 4 with 16 to 19 proved too little.
const Overloaded = 16

// Ready is how many threads were ready to run for each processor of the machine, on average
// over s; 0 if nobody told, as of simulated machines.
func Ready(h *harness.History, s Stretch) float64 {
	var sum, told float64
	for _, e := range h.Events {
		if e.Kind != harness.MachineEvent {
			continue
		}
		if shared := min(s.To, e.Time) - max(s.From, e.Time-harness.MachineEvery); shared > 0 {
			sum += e.Ready * shared.Seconds()
			told += shared.Seconds()
		}
	}
	if told == 0 {
		return 0
	}
	return sum / told
}

// Overload says that the machine was overloaded in s, as half a sentence; "" if it was not,
// or nobody knows.
func Overload(h *harness.History, s Stretch) string {
	ready := Ready(h, s)
	if ready < Overloaded {
		return ""
	}
	return fmt.Sprintf("the machine that ran the test was overloaded: %.0f threads were ready to run for each of its processors", ready)
}
