package plan

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"coup/harness/gen"
)

// mostArrivals bounds the rate of an open-loop load, in operations per second.
const mostArrivals = 1e6

// stages are the parts of an open-loop load.
func (p Plan) stages() ([]gen.Stage, error) {
	words := strings.Split(p.Arrivals, ",")
	stages := make([]gen.Stage, len(words))
	for i, word := range words {
		from, to, ramp := strings.Cut(strings.TrimSpace(word), "..")
		if !ramp {
			to = from
		}
		s := gen.Stage{For: time.Duration(p.Time) / time.Duration(len(words))}
		var err, errTo error
		s.From, err = strconv.ParseFloat(from, 64)
		s.To, errTo = strconv.ParseFloat(to, 64)
		if err != nil || errTo != nil || !(s.From >= 0 && s.From <= mostArrivals && s.To >= 0 && s.To <= mostArrivals) {
			return nil, fmt.Errorf("arrivals: %q is neither a number of operations per second, up to %.0f, nor a ramp such as 100..2000", word, float64(mostArrivals))
		}
		stages[i] = s
	}
	return stages, nil
}

// checkArrivals fails if the load can't be an open-loop one.
func (p Plan) checkArrivals() error {
	if p.Arrivals == "" {
		return nil
	}
	stages, err := p.stages()
	switch {
	case err != nil:
		return err
	case p.Rate != 0:
		return errors.New("arrivals and rate are two ways to say how much is asked for: give one")
	case p.PauseEvery != 0:
		return errors.New("a load of arrivals does not pause by pause-every: give a part of it the rate 0, e.g. 200,0,200")
	case p.Operations != nil:
		return errors.New("operations that are listed have their own times, and no arrivals")
	case stages[len(stages)-1].To == 0:
		return errors.New("arrivals must not end with 0: clients go on until the cluster serves them again")
	}
	return nil
}
