package results

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"coup/harness"
)

// JUnitFile is the verdict in the format that CI servers show: a test case for
// each checker. A broken promise is a failure, an unknown result is an error, and a checker
// that did not judge is skipped.
const JUnitFile = "junit.xml"

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Failure *junitMessage `xml:"failure,omitempty"`
	Error   *junitMessage `xml:"error,omitempty"`
	Skipped *junitMessage `xml:"skipped,omitempty"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes the results of a run called name.
func WriteJUnit(w io.Writer, name string, all []harness.Result) error {
	suite := junitSuite{Name: name, Tests: len(all)}
	for _, r := range all {
		c := junitCase{Class: "coup", Name: r.Checker}
		m := &junitMessage{Message: r.Summary}
		if r.Counterexample != nil {
			m.Text = strings.Join(r.Counterexample.Story, "\n")
		}
		switch r.Valid {
		case harness.Invalid:
			c.Failure = m
			suite.Failures++
		case harness.Unknown:
			c.Error = m
			suite.Errors++
		case harness.NotJudged:
			c.Skipped = m
			suite.Skipped++
		default:
			c.Out = r.Summary
		}
		suite.Cases = append(suite.Cases, c)
	}
	b, err := xml.MarshalIndent(suite, "", "  ")
	if err != nil {
		return fmt.Errorf("junit: %w", err)
	}
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, b)
	return err
}
