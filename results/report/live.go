package report

import (
	"fmt"
	"io"
	"time"
)

// Live is the page of a run under way. It asks Source every second for what is [Known].
type Live struct {
	Title    string
	Command  string // that runs it again
	Dir      string // where it is
	Started  time.Time
	Nodes    []string
	Source   string // the address of what is known
	Download string // the address of the run as a file
	Known    Known  // so far

	_ struct{}
}

// WriteLive writes the page of a run under way. Its policy allows it to ask the server that
// it came from, and nobody else.
func WriteLive(w io.Writer, in Live) error {
	a, err := loadLiveAssets()
	if err != nil {
		return fmt.Errorf("page of a run: %w", err)
	}
	in.Known.Source = in.Source
	err = pageTemplate.ExecuteTemplate(w, "live.html.tmpl", struct {
		assets
		Live
		Data Known
	}{a, in, in.Known})
	if err != nil {
		return fmt.Errorf("page of a run: %w", err)
	}
	return nil
}
