// Package images builds the images of systems under test without a registry of images:
// from Go modules, by the go command, from Debian's packages, by apt, from jars, by Maven, on a
// Java runtime made by jlink, and in part from Python's packages, by pip, and from archives, by Maven.
//
// Start with a [Recipe], which says as data what an image holds, and [Build] or [Ensure].
// Images are cached by a hash of the recipe, which is also a part of their name.
package images

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
)

// Recipe says how an image is made, of one release of one system.
type Recipe struct {
	Name string // what containers call it, e.g. etcd
	// Version is the release, without a leading v. Of a system whose packages are
	// Debian's it is what Debian has of it, if it is left out: [Resolve] finds out.
	Version string
	// Programs are what the image holds, each built from a Go module as a static
	// binary.
	Programs []GoProgram `json:",omitempty"`
	// Debian are packages of Debian that the image holds, with all that they depend on;
	// the version of the first one is that of the system, if there is no other. Essential packages are in no
	// closure: where there is to be a shell, name dash.
	Debian []string `json:",omitempty"`
	// Wheels are packages of Python, NAME==VERSION, which pip fetches without what they
	// depend on: that is to be among Debian's.
	Wheels []string `json:",omitempty"`
	// Archives are programs that Maven fetches.
	Archives []Archive `json:",omitempty"`
	// Java is a Java runtime with jars.
	Java *Java `json:",omitempty"`
	// Closure are the packages with their versions, as [Resolve] finds them: NAME=VERSION.
	Closure []string `json:",omitempty"`
	// Official is the reference of the project's own image of this release, where the engine's
	// default registry has it: for machines on which the recipe can't be carried out. It has the
	// programs in its PATH. "": there is none. It is no part of what is built.
	Official string `json:"-"`
}

// GoProgram is a program of a Go module.
type GoProgram struct {
	Path    string // where the image holds it, e.g. /usr/local/bin/etcd
	Module  string
	Version string // of the module, e.g. v3.5.21
	// Main is a source file of package main that uses the module; "": Package is built.
	Main    string   `json:",omitempty"`
	More    []string `json:",omitempty"` // source files beside Main
	Package string   `json:",omitempty"`
	Replace []string `json:",omitempty"` // replace directives of go.mod, OLD=NEW@VERSION
	Tags    string   `json:",omitempty"`
	LDFlags string   `json:",omitempty"` // beside -s -w
	CGO     bool     `json:",omitempty"`
}

// String is the name and the release, e.g. etcd 3.6.8.
func (r Recipe) String() string { return strings.TrimSpace(r.Name + " " + r.Version) }

// Reference is the name and tag of the image on an engine: it changes with
// everything that goes into the image. A recipe with packages of Debian has one when it
// is resolved.
func (r Recipe) Reference() string {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // a Recipe has nothing that can't be written
	}
	sum := sha256.Sum256(b)
	return fmt.Sprintf("coup/%s:%s-%s", r.Name, r.Version, hex.EncodeToString(sum[:6]))
}
