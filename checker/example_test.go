package checker_test

import (
	"context"
	"fmt"
	"time"

	"coup/checker"
	"coup/checker/conduct"
	"coup/checker/linearizable"
	"coup/checker/model"
	"coup/harness"
)

// A process reads a value that was replaced before it began.
func ExampleCheckAll() {
	at := func(ms int) time.Duration { return time.Duration(ms) * time.Millisecond }
	h := &harness.History{Operations: []harness.Operation{
		{Process: 1, F: "write", Key: "k3", Input: int64(41), Type: harness.OK, Call: 0, Return: 1, Start: at(100), End: at(110), Node: "n1"},
		{Process: 2, F: "write", Key: "k3", Input: int64(45), Type: harness.OK, Call: 2, Return: 3, Start: at(120), End: at(135), Node: "n2"},
		{Process: 3, F: "read", Key: "k3", Output: model.Just(41), Type: harness.OK, Call: 4, Return: 5, Start: at(150), End: at(152), Node: "n1"},
	}}
	v := checker.CheckAll(context.Background(), []harness.Checker{
		linearizable.Checker{Model: model.Register()},
		conduct.Ran{},
	}, h)
	fmt.Println(v.Valid)
	for _, sentence := range v.Results[0].Counterexample.Story {
		fmt.Println(sentence)
	}
	// Output:
	// invalid
	// At 0.100 s process 1 wrote 41 to k3 through n1, acknowledged at 0.110 s.
	// At 0.120 s, after that, process 2 wrote 45 to k3 through n2, acknowledged at 0.135 s.
	// At 0.150 s, after that, process 3 read k3 from n1 and got 41 at 0.152 s.
	// When process 3 began at 0.150 s, 41 was gone: 45 was there by 0.135 s, and from 0.120 s to 0.152 s nobody was writing 41 to k3.
	// The first answer that nothing explains is that of process 3 at 0.152 s (read -> 41).
	// No order of these 3 operations explains all the answers, where each takes effect at one moment between its start and its end.
}
