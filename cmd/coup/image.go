package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"coup/cluster"
	"coup/cluster/docker"
	"coup/cluster/systems"
	"coup/images"
)

func newImage() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "image",
		Short: "Show and build the images of systems",
		Long: `Show and build the images of systems other than the bundled one. No registry of images
is needed: the go command builds them from Go modules, apt from Debian's packages, and
jlink and Maven from jars. Where these are missing, the project's own image is pulled by its tag.
Images are kept in the user's cache directory and on the engine. coup gc leaves them; docker image rm
removes them from the engine. A run builds or pulls the images that it needs.`,
		Example: `  coup image list
  coup image build etcd
  coup image build etcd@3.5.21
  coup image pull nats@2.10.29`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(&cobra.Command{
		Use: "list", Short: "Show the systems that have images of their own, and the images on the engine",
		Example: `  coup image list`,
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return listImages(cmd.Context(), cmd.OutOrStdout())
		},
	}, &cobra.Command{
		Use: "build NAME[@VERSION]", Short: "Build the images of a system, if the engine lacks them",
		Example: `  coup image build etcd@3.5.21`,
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return eachImage(cmd.Context(), cmd.OutOrStdout(), args[0], func(ctx context.Context, e *docker.Engine, r images.Recipe, o images.Options) (string, error) {
				_, how, err := images.Ensure(ctx, e, r, o)
				return how, err
			})
		},
	}, &cobra.Command{
		Use: "pull NAME[@VERSION]", Short: "Pull the project's own images of a system, by tag",
		Long: `Pull the project's own images of a system, by tag. A run takes them if the engine has no
image that was built here.`,
		Example: `  coup image pull nats@2.10.29`,
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return eachImage(cmd.Context(), cmd.OutOrStdout(), args[0], func(ctx context.Context, e *docker.Engine, r images.Recipe, o images.Options) (string, error) {
				i, err := images.Pull(ctx, e, r, o)
				return i.How, err
			})
		},
	})
	return cmd
}

// recipesOf are the images of NAME[@VERSION].
func recipesOf(of string) ([]images.Recipe, error) {
	name, version, _ := strings.Cut(of, "@")
	sys, err := systems.Find(name)
	if err != nil {
		return nil, err
	}
	i, ok := sys.(cluster.Imaged)
	if !ok {
		return nil, fmt.Errorf("%s needs no image: its nodes run coup's own binary", name)
	}
	return i.Images(cluster.Options{Version: version})
}

// eachImage does something with each image of NAME[@VERSION], and prints what came of it.
func eachImage(ctx context.Context, out io.Writer, of string, do func(ctx context.Context, e *docker.Engine, r images.Recipe, o images.Options) (how string, err error)) error {
	recipes, err := recipesOf(of)
	if err != nil {
		return usageError{err}
	}
	e, err := docker.Connect(ctx)
	if err != nil {
		return err
	}
	defer e.Close()
	for _, r := range recipes {
		how, err := do(ctx, e, r, images.Options{Progress: func(line string) { fmt.Fprintln(os.Stderr, line) }})
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s: %s\n", r, how)
	}
	return nil
}

// anyOf reports whether an image on the engine has a label that begins so.
func anyOf(there map[string]string, prefix string) bool {
	for _, label := range there {
		if strings.HasPrefix(label, prefix) {
			return true
		}
	}
	return false
}

func listImages(ctx context.Context, out io.Writer) error {
	e, err := docker.Connect(ctx)
	if err != nil {
		return err
	}
	defer e.Close()
	there, err := e.Labelled(ctx, images.Label)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "Systems, with the release that is run if none is named, and the project's own image of it:")
	for _, name := range systems.Names() {
		recipes, err := recipesOf(name)
		if err != nil {
			continue // it needs none
		}
		for _, r := range recipes {
			state := "built when a run needs it"
			if _, ok, err := e.Image(ctx, r.Official); r.Official != "" && err == nil && ok {
				state = "on the engine, the project's own"
			}
			// What is resolved when it is built has no reference before.
			resolved := len(r.Debian) == 0 && r.Java == nil
			if _, ok := there[r.Reference()]; ok || !resolved && anyOf(there, r.Name+"-"+r.Version) {
				state = "on the engine"
			}
			fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", name, cmp.Or(r.Version, "what Debian has"), state, cmp.Or(r.Official, "-"))
		}
	}
	fmt.Fprintln(w, "\nOn the engine:")
	for _, ref := range slices.Sorted(maps.Keys(there)) {
		fmt.Fprintf(w, "  %s\t%s\n", there[ref], ref)
	}
	if len(there) == 0 {
		fmt.Fprintln(w, "  none")
	}
	return w.Flush()
}
