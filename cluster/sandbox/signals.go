package sandbox

// Signals of the nodes, which run Linux: on the system that coup itself runs on they may
// have other numbers, or none.
const (
	SIGSTOP = 19
	SIGCONT = 18
)
