package harness

import (
	"context"
	"errors"
)

// ErrFail is wrapped by a client's error to say: the operation certainly did
// not take effect and never will. Any other error means that nobody knows.
var ErrFail = errors.New("operation did not happen")

// ErrBroken is wrapped by a client's error to say: the client itself does not work, so that
// a run with it proves nothing. It ends the run; the operation is recorded as info.
var ErrBroken = errors.New("the client is broken")

// Client performs the operations of one process. It is used by one process at
// a time and starts no goroutine of its own.
type Client interface {
	// Invoke performs op and returns the completion's value. A nil error is
	// ok; one that wraps ErrFail is fail; any other is info, and one that wraps
	// ErrBroken ends the run as well. It returns soon
	// after ctx ends, or at its deadline.
	Invoke(ctx context.Context, op Op) (value any, err error)
	// Node is the node that was asked last, or "".
	Node() string
	Close() error
}
