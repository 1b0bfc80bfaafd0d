package docker

import "context"

// Left lists the labels of runs that still have something on the engine and
// are called run.
func (e *Engine) Left(ctx context.Context, run string) []string {
	runs, err := e.runs(ctx)
	if err != nil {
		return []string{err.Error()}
	}
	if lock, ok := runs[run]; ok {
		return []string{run + " " + lock}
	}
	return nil
}
