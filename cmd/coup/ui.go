package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"coup/harness"
	"coup/runner"
)

// ui shows a run as it goes on: a line that changes in place on a terminal,
// lines of a log elsewhere.
type ui struct {
	log      *slog.Logger
	progress func(runner.Progress)
	done     func()
}

func newUI(f *os.File) ui {
	if term.IsTerminal(int(f.Fd())) {
		return liveUI(f)
	}
	return logUI(f)
}

func logUI(w io.Writer) ui {
	log := slog.New(slog.NewTextHandler(w, nil))
	var last time.Duration
	return ui{
		log: log,
		progress: func(p runner.Progress) {
			const every = 5 * time.Second
			if p.Phase == harness.PhaseLoad && p.Elapsed-last < every || p.Phase != harness.PhaseLoad {
				return
			}
			last = p.Elapsed
			said := []any{"left", max(0, p.Total-p.Elapsed).Round(time.Second), "ok", p.OK, "fail", p.Fail, "info", p.Info, "leader", p.Leader}
			if p.Term > 0 {
				said = append(said, "term", p.Term)
			}
			log.Info("progress", append(said, "faults", strings.Join(p.Faults, "; "))...)
		},
		done: func() {},
	}
}

func liveUI(f *os.File) ui {
	bar := progressbar.NewOptions64(1,
		progressbar.OptionSetWriter(f), progressbar.OptionSetWidth(16), progressbar.OptionSetElapsedTime(false),
		progressbar.OptionSetPredictTime(false), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(50*time.Millisecond))
	var last runner.Progress
	return ui{
		log: slog.New(slog.DiscardHandler), // the line says it all
		progress: func(p runner.Progress) {
			var b strings.Builder
			b.WriteString(string(p.Phase))
			if p.Doing != "" {
				b.WriteString(" " + p.Doing)
			}
			if p.Phase == harness.PhaseLoad {
				bar.ChangeMax64(int64(p.Total))
				left := max(0, p.Total-p.Elapsed).Round(time.Second)
				rate := 0.0
				if d := p.Elapsed - last.Elapsed; last.Phase == harness.PhaseLoad && d > 0 {
					rate = float64(p.OK-last.OK) / d.Seconds()
				}
				fmt.Fprintf(&b, " %v left, %.0f ok/s, %d ok %d fail %d info", left, rate, p.OK, p.Fail, p.Info)
				if p.Leader != "" {
					fmt.Fprintf(&b, ", %s leads", p.Leader)
					if p.Term > 0 { // not every system has terms
						fmt.Fprintf(&b, " term %d", p.Term)
					}
				} else {
					b.WriteString(", no leader")
				}
				for _, fault := range p.Faults {
					fmt.Fprintf(&b, " | %s", fault)
				}
				bar.Set64(int64(min(p.Elapsed, p.Total-1)))
			}
			last = p
			bar.Describe(clip(b.String(), f))
		},
		done: func() { bar.Finish() },
	}
}

// clip keeps the line from wrapping, which would make it many lines.
func clip(s string, f *os.File) string {
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		width = 80
	}
	const bar = 26 // what the bar itself takes
	if room := max(20, width-bar); len(s) > room {
		return s[:room-1] + "…"
	}
	return s
}
