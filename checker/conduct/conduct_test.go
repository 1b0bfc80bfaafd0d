package conduct

import (
	"time"

	"coup/harness"
)

const ms = time.Millisecond

func state(at time.Duration, node string, applied uint64, hash string) harness.Event {
	return harness.Event{Time: at, Kind: harness.StateEvent, Node: node, Applied: applied, Hash: hash}
}

func phase(at time.Duration, name string) harness.Event {
	return harness.Event{Time: at, Kind: harness.PhaseEvent, Message: name}
}

func leads(at time.Duration, node string, term uint64) harness.Event {
	return harness.Event{Time: at, Kind: harness.RoleEvent, Node: node, Role: "leader", Term: term}
}
