package own

import (
	"io"
	"sync"

	"github.com/sirupsen/logrus"
)

// quiet keeps the compose library from writing to the standard error. What it would warn of
// is an error or a note here.
var quiet = sync.OnceFunc(func() { logrus.SetOutput(io.Discard) })
