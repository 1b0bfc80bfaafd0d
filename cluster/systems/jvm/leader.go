package jvm

import (
	"context"

	"coup/cluster"
)

// Leader asks all managers at once, and returns the first that says that it leads; "" if
// none does. One that does not answer is not waited for if another one leads.
func Leader(ctx context.Context, a cluster.Access, leads func(ctx context.Context, node string) (bool, error)) string {
	managers := Of(Manager, a.Nodes())
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	found := make(chan string, len(managers))
	for _, n := range managers {
		go func() {
			if yes, err := leads(ctx, n.Name); err == nil && yes {
				found <- n.Name
			} else {
				found <- ""
			}
		}()
	}
	for range managers {
		if name := <-found; name != "" {
			return name
		}
	}
	return ""
}

// Is reports whether a node has a role.
func Is(role string, a cluster.Access, node string) bool {
	for _, n := range a.Nodes() {
		if n.Name == node {
			return n.Role == role
		}
	}
	return false
}
