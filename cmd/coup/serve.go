package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"coup/nightly/serve"
)

func newServe(soft context.Context) *cobra.Command {
	var listen string
	var anyHost bool
	cmd := &cobra.Command{
		Use:   "serve [DIR]",
		Short: "Show runs and nights in a browser",
		Long: `Show the runs and nights below a folder (runs, if none is given) in a browser: a list to
filter, with the command that runs each again; reports and pages; runs that are chosen there
side by side; a run as tar.gz. A run under way is seen as it goes: throughput and latency, who
leads, faults, the newest lines of logs, the first violation. /metrics tells the newest
nights in the format of OpenMetrics. It listens on this machine only, unless --listen says
otherwise, opens nothing outside the folder, and changes nothing.`,
		Example: `  coup serve
  coup serve --listen 127.0.0.1:9000 runs/nights`,
		Args: usageArgs(cobra.MaximumNArgs(1)),
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8080", "the address to listen on")
	cmd.Flags().BoolVar(&anyHost, "any-host", false, "answer to any name of this host, for example behind a proxy")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dir := "runs"
		if len(args) > 0 {
			dir = args[0]
		}
		handler, err := serve.New(dir, anyHost)
		if err != nil {
			return usageError{err}
		}
		l, err := net.Listen("tcp", listen)
		if err != nil {
			return usageError{err}
		}
		server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
		defer context.AfterFunc(soft, func() { server.Close() })()
		fmt.Fprintf(os.Stderr, "%s is shown at http://%s/ until Ctrl-C\n", dir, l.Addr())
		if err := server.Serve(l); err != http.ErrServerClosed {
			return err
		}
		return nil
	}
	return cmd
}
