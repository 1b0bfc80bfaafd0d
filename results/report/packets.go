package report

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	"coup/cluster/capture"
)

// packetsPart is what the template sees of a capture.
type packetsPart struct {
	Files []packetFile
	Bound string // what to know of the bound, if it was reached
	Note  string // what else to know; ""
}

type packetFile struct {
	Node, Name string // in the run directory
	Says       string // size, packets
	Failed     string
}

// frames are the packets of a part of the run in one file.
type frames struct {
	Of      string // an operation; "": all of the counterexample
	Node    string
	Name    string // of the file, in the run directory
	Filter  string // a display filter of Wireshark
	Command string // the same with tshark
	Lack    string // why there are none; ""
}

// ownFile matches the names of files of packets, which a page links to.
var ownFile = regexp.MustCompile(`^capture/[A-Za-z0-9][A-Za-z0-9._-]*\.pcapng$`)

func gatherPackets(set *capture.Set) (part packetsPart) {
	if set == nil {
		return part
	}
	forgotten, missed := 0, 0
	for _, f := range set.Files {
		if f.Failed == "" && !ownFile.MatchString(f.Name) { // a folder from elsewhere may say anything
			continue
		}
		part.Files = append(part.Files, packetFile{Node: f.Node, Name: f.Name, Says: size(f.Size) + ", " + plural(f.Packets, "packet"), Failed: f.Failed})
		if f.Forgotten > 0 {
			forgotten += f.Forgotten
			n := &part.Files[len(part.Files)-1]
			n.Says += fmt.Sprintf(", from %s on", clock(f.From))
		}
		missed += f.Missed
	}
	if forgotten > 0 {
		part.Bound = fmt.Sprintf("The bound of %d MiB for each file was reached: the newest packets were kept, because what breaks a promise is mostly found near the end, and %s were forgotten. --capture=%d keeps twice as much.",
			set.Bound, plural(forgotten, "older one"), 2*set.Bound)
	}
	var notes []string
	if missed > 0 {
		notes = append(notes, fmt.Sprintf("Packets that came faster than they could be taken, and are missing: %s.", count(missed)))
	}
	if set.Stepped != 0 {
		notes = append(notes, fmt.Sprintf("The machine's clock was moved by %v while the run went on: packets after that are as much later than their operations say.", set.Stepped))
	}
	part.Note = strings.Join(notes, " ")
	return part
}

// size says how many bytes there are.
func size(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%.0f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// addFrames adds where the packets of a counterexample are: for each operation those between clients
// and its node, while it was under way, and for each node all that passed meanwhile.
func (p *proof) addFrames(set *capture.Set, dir string) {
	if set == nil || len(p.Witness) == 0 {
		return
	}
	from, to := time.Duration(p.Witness[0].Start), time.Duration(0)
	for _, w := range p.Witness {
		from, to = min(from, time.Duration(w.Start)), max(to, time.Duration(w.Start), time.Duration(w.End))
	}
	add := func(of, node string, begin, end time.Duration, address string) {
		f := frames{Of: of, Node: node}
		switch file := set.Of(node); {
		case file != nil && file.Failed != "":
			f.Lack = "they could not be kept: " + file.Failed
		case file == nil || !ownFile.MatchString(file.Name):
			f.Lack = "no packets were captured there"
		case file.Packets == 0 || file.Forgotten > 0 && end < file.From:
			f.Lack = fmt.Sprintf("the file begins at %s: these were forgotten, and a larger --capture=MIB keeps them", clock(file.From))
		default:
			f.Name, f.Filter = file.Name, set.Filter(begin, end, address)
			f.Command = fmt.Sprintf("tshark -N nN -r %s -Y %s", quote(path.Join(dir, file.Name)), quote(f.Filter))
		}
		p.Frames = append(p.Frames, f)
	}
	for _, w := range p.Witness {
		end := time.Duration(w.End)
		if w.End < 0 { // it was never answered
			end = max(to, time.Duration(w.Start)+time.Second)
		}
		text := w.Text
		if w.Name != "" {
			text = w.Name + " " + text
		}
		add(text, w.Node, time.Duration(w.Start), end, set.Clients)
	}
	for _, f := range set.Files {
		add("", f.Node, from, to, "")
	}
}

// quote quotes for a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
