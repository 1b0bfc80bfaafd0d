package harness

import (
	"context"
	"errors"
)

// ErrFail is wrapped by a client's error to say: the operation certainly did
// not take effect and never will. Any other error means that nobody knows.
var ErrFail = errors.New("operation did not happen")

// Client performs the operations of one process. It is used by one process at
// a time and starts no goroutine of its own.
type Client interface {
	// Invoke performs op and returns the completion's value. A nil error is
	// ok; one that wraps ErrFail is fail; any other is info. It returns soon
	// after ctx ends, or at its deadline.
	Invoke(ctx context.Context, op Op) (value any, err error)
	// Node is the node that was asked last, or "".
	Node() string
	Close() error
}
