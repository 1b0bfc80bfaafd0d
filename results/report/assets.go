package report

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"sync"
	"time"
)

//go:embed *.html.tmpl css js uplot
var files embed.FS

var pageTemplate = template.Must(template.New("page.html.tmpl").Funcs(template.FuncMap{
	"clock":      clock,
	"clockNanos": func(ns int64) string { return clock(time.Duration(ns)) },
	"count":      count,
	"span":       span,
	"millis":     millis,
	"join":       strings.Join,
	"typeName":   typeName,
}).ParseFS(files, "*.html.tmpl"))

// The scripts share one scope: they are put one behind the other into one
// function. Order matters only in that main starts when all others are there.
var scriptFiles = []string{
	"util.js", "state.js", "faults.js", "series.js", "plots.js", "dots.js", "lanes.js", "lag.js", "copy.js", "edges.js", "counterexample.js", "decode.js", "operations.js", "tracelanes.js", "trace.js", "main.js",
}

var styleFiles = []string{"page.css", "plots.css", "operations.css", "trace.css", "print.css"}

// assets are the parts of the page that are the same in every report.
type assets struct {
	Library template.JS // the plotting library
	Script  template.JS // our own
	Style   template.CSS
	Policy  string // the content security policy: these and nothing else
}

// loadAssets puts the page's scripts and styles together. The plotting
// library is uPlot 1.6.32 as its author publishes it (https://github.com/leeoniya/uPlot), with
// its licence beside it.
var loadAssets = sync.OnceValues(func() (assets, error) { return assetsOf(scriptFiles, styleFiles, "form-action 'none'") })

// The pages of a run under way and of a comparison are served by coup: a policy that comes
// with them may allow requests to it, and theirs has to as well.
var (
	loadLiveAssets = sync.OnceValues(func() (assets, error) {
		return assetsOf(append(slices.Clone(plotScripts), "live.js"), servedStyles, "connect-src 'self'; form-action 'self'")
	})
	loadCompareAssets = sync.OnceValues(func() (assets, error) {
		return assetsOf(append(slices.Clone(plotScripts), "compare.js"), servedStyles, "form-action 'none'")
	})
)

// plotScripts are what every page with plots over time has.
var plotScripts = []string{"util.js", "state.js", "faults.js", "series.js", "plots.js", "dots.js", "lanes.js", "copy.js"}

var servedStyles = []string{"page.css", "plots.css", "served.css"}

func assetsOf(scripts, styles []string, allows string) (assets, error) {
	library, err := files.ReadFile("uplot/uPlot.min.js")
	if err != nil {
		return assets{}, err
	}
	libraryStyle, err := files.ReadFile("uplot/uPlot.min.css")
	if err != nil {
		return assets{}, err
	}
	script, err := concat("js/", scripts)
	if err != nil {
		return assets{}, err
	}
	style, err := concat("css/", styles)
	if err != nil {
		return assets{}, err
	}
	script = "(() => {\n\"use strict\";\n" + script + "})();\n"
	style = string(libraryStyle) + "\n" + style
	return assets{
		Library: template.JS(library),
		Script:  template.JS(script),
		Style:   template.CSS(style),
		Policy: fmt.Sprintf("default-src 'none'; script-src %s %s; style-src %s; img-src data:; base-uri 'none'; %s",
			hashSource(string(library)), hashSource(script), hashSource(style), allows),
	}, nil
}

// Style is the style sheet that all pages of coup begin with.
func Style() (string, error) { return concat("css/", []string{"page.css"}) }

// Policy is the content security policy of a page with one style and one script, which loads
// nothing else.
func Policy(style, script string) string {
	return fmt.Sprintf("default-src 'none'; script-src %s; style-src %s; img-src data:; base-uri 'none'; form-action 'none'", hashSource(script), hashSource(style))
}

func concat(dir string, names []string) (string, error) {
	var b strings.Builder
	for _, name := range names {
		text, err := files.ReadFile(dir + name)
		if err != nil {
			return "", err
		}
		b.Write(text)
		b.WriteByte('\n')
	}
	return b.String(), nil
}

// hashSource is how a content security policy names a script or a style by its text.
func hashSource(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
