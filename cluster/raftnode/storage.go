package raftnode

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Object is what requests and answers about objects say beside the key of a
// [Request], which is the directory.
type Object struct {
	Name    string   `json:"name,omitempty"`
	To      string   `json:"to,omitempty"` // the new name, of a rename
	Content []byte   `json:"content,omitempty"`
	Found   bool     `json:"found,omitempty"` // in the answer of a read: there is one
	Names   []string `json:"names,omitempty"` // in the answer of a list, ascending
}

// The paths of the operations on objects.
const (
	PathObjectWrite  = "/object/write"
	PathObjectAppend = "/object/append"
	PathObjectRead   = "/object/read"
	PathObjectList   = "/object/list"
	PathObjectRename = "/object/rename"
)

// The commands. An object of several parts is written part by part; nobody sees the parts
// until an object-commit makes an object of them.
const (
	opObjectPart   = "object-part" // keeps a part of a write; Value is its number
	opObjectCommit = "object-commit"
	opObjectPut    = "object-put" // the same in one entry
	opObjectAppend = "object-append"
	opObjectRename = "object-rename"
	opObjectCopy   = "object-copy"   // (copy-rename)
	opObjectRemove = "object-remove" // (copy-rename)
)

var objectOperations = []operation{
	{name: PathObjectWrite, command: opObjectPut},
	{name: PathObjectAppend, command: opObjectAppend},
	{name: PathObjectRead, read: true, look: func(s *state, req Request) Response {
		content, found := s.objects.read(req.Key, req.object().Name)
		return Response{Object: &Object{Found: found, Content: content}}
	}},
	{name: PathObjectList, read: true, look: func(s *state, req Request) Response {
		return Response{Object: &Object{Names: slices.Sorted(maps.Keys(s.objects.dirs[req.Key]))}}
	}},
	{name: PathObjectRename, command: opObjectRename},
}

// object is what the request says about an object.
func (r Request) object() Object {
	if r.Object == nil {
		return Object{}
	}
	return *r.Object
}

// checkObject says what is wrong with a request about an object.
func checkObject(req Request, path string) error {
	switch o := req.object(); {
	case path != PathObjectList && o.Name == "":
		return errors.New("bad request: an object has a name")
	case path == PathObjectRename && (o.To == "" || o.To == o.Name):
		return errors.New("bad request: a rename has a new name")
	}
	return nil
}

// objectCommand is what a command on objects says.
type objectCommand struct {
	Name, To string
	Content  []byte
}

func (c *coder) object(o *objectCommand) {
	c.String(&o.Name)
	c.String(&o.To)
	c.Bytes(&o.Content)
}

// onObject says whether a command has an objectCommand.
func onObject(op string) bool {
	switch op {
	case opObjectPart, opObjectCommit, opObjectPut, opObjectAppend, opObjectRename, opObjectCopy, opObjectRemove:
		return true
	}
	return false
}

// partSize is how many bytes of an object an entry of the log holds.
const partSize = 1000

// parts cuts content into pieces of at most partSize bytes.
func parts(content []byte) [][]byte { return slices.Collect(slices.Chunk(content, partSize)) }

// writeObject writes an object of several parts. Until the commit nothing has happened.
func (n *Node) writeObject(ctx context.Context, c command) *Failure {
	if n.cfg.Bug.is(TornObject) {
		return n.tornObject(ctx, c)
	}
	pieces := parts(c.Object.Content)
	for i, piece := range pieces {
		part := c
		part.Op, part.Value = opObjectPart, int64(i)
		part.Object.Content = piece
		if _, f := n.propose(ctx, part); f != nil {
			return didNotHappen(fmt.Sprintf("part %d of %d: %s", i+1, len(pieces), f.Reason))
		}
	}
	c.Op, c.Value, c.Object.Content = opObjectCommit, int64(len(pieces)), nil
	_, f := n.propose(ctx, c)
	return f
}

// tornObject puts the first part in place of the object and appends the others
// (torn-object).
func (n *Node) tornObject(ctx context.Context, c command) *Failure {
	for i, piece := range parts(c.Object.Content) {
		at := int64(i * partSize)
		part := c
		part.Client = fmt.Sprintf("%s/%d", c.Client, i)
		part.Object.Content = piece
		if i > 0 {
			part.Op, part.From = opObjectAppend, &at
		}
		if f := n.step(ctx, part, i > 0); f != nil {
			return f
		}
	}
	return nil
}

// copyRename copies the object and then removes the one of the old name (copy-rename).
func (n *Node) copyRename(ctx context.Context, c command) *Failure {
	for i, op := range []string{opObjectCopy, opObjectRemove} {
		step := c
		step.Op, step.Client = op, fmt.Sprintf("%s/%d", c.Client, i)
		if f := n.step(ctx, step, i > 0); f != nil {
			return f
		}
	}
	return nil
}

// step proposes a part of an operation; begun says that another part has happened.
func (n *Node) step(ctx context.Context, c command, begun bool) *Failure {
	_, f := n.propose(ctx, c)
	if f != nil && begun && f.Happened == DidNotHappen {
		return mayHaveHappened(f.Reason)
	}
	return f
}

// fracturedObject reads an object part by part, each as it should be read
// (fractured-object).
func (n *Node) fracturedObject(ctx context.Context, req Request, op operation) (Response, *Failure) {
	all := Object{}
	for {
		if f := n.confirm(ctx, req.Reads != Lease); f != nil {
			return Response{}, f
		}
		got := n.look(req, op).Object
		all.Found = all.Found || got.Found
		if at := len(all.Content); at < len(got.Content) {
			all.Content = append(all.Content, got.Content[at:min(at+partSize, len(got.Content))]...)
		} else {
			return Response{Object: &all}, nil
		}
	}
}

// objects are the objects of a state, and the parts of those that are being written.
type objects struct {
	dirs    map[string]map[string]object
	uploads map[string]*upload // by client: it has one write open at a time
}

type object struct {
	content []byte // is never changed
	sum     uint64 // of content
}

// upload is a write of which not all parts may be there.
type upload struct {
	Client string           `json:"client"`
	Seq    uint64           `json:"seq"`
	Parts  map[int64][]byte `json:"parts"`
}

const refusedMissing refusal = "there is no such object"

// performObject performs a command on objects.
func (s *state) performObject(c command) result {
	o := &s.objects
	have, found := o.dirs[c.Key][c.Object.Name]
	switch c.Op {
	case opObjectPart:
		s.keepPart(c)
		return result{}
	case opObjectCommit:
		up := o.uploads[c.Client]
		if up == nil || up.Seq != c.Seq || int64(len(up.Parts)) != c.Value {
			return result{Refused: refusedOld} // the client has gone on to another write
		}
		var content []byte
		for i := range c.Value {
			content = append(content, up.Parts[i]...)
		}
		s.dropUpload(c.Client)
		s.putObject(c.Key, c.Object.Name, content)
		return result{}
	case opObjectPut:
		s.putObject(c.Key, c.Object.Name, c.Object.Content)
		return result{}
	}
	if !found {
		return result{Refused: refusedMissing}
	}
	switch c.Op {
	case opObjectAppend:
		whole := have.content
		if c.From != nil {
			whole = whole[:min(*c.From, int64(len(whole)))]
		}
		s.putObject(c.Key, c.Object.Name, slices.Concat(whole, c.Object.Content))
	case opObjectCopy:
		s.putObject(c.Key, c.Object.To, have.content)
	case opObjectRemove:
		s.removeObject(c.Key, c.Object.Name)
	case opObjectRename:
		s.removeObject(c.Key, c.Object.Name)
		s.putObject(c.Key, c.Object.To, have.content)
	}
	return result{}
}

// keepPart keeps a part of a write, unless the write is over.
func (s *state) keepPart(c command) {
	if e, known := s.sessions[c.Client]; known && e.Value.(*session).Seq >= c.Seq {
		return
	}
	up := s.objects.uploads[c.Client]
	switch {
	case up != nil && up.Seq > c.Seq:
		return
	case up != nil && up.Seq < c.Seq:
		s.dropUpload(c.Client)
		up = nil
	}
	if up == nil {
		up = &upload{c.Client, c.Seq, map[int64][]byte{}}
		s.objects.uploads[c.Client] = up
	}
	if _, have := up.Parts[c.Value]; !have {
		up.Parts[c.Value] = c.Object.Content
		s.sum += partFact(up, c.Value)
	}
}

func (s *state) dropUpload(client string) {
	up := s.objects.uploads[client]
	for i := range up.Parts {
		s.sum -= partFact(up, i)
	}
	delete(s.objects.uploads, client)
}

func (s *state) putObject(dir, name string, content []byte) {
	s.removeObject(dir, name)
	if s.objects.dirs[dir] == nil {
		s.objects.dirs[dir] = map[string]object{}
	}
	s.objects.dirs[dir][name] = object{content, fact('b', string(content))}
	s.sum += objectFact(dir, name, s.objects.dirs[dir][name].sum)
}

func (s *state) removeObject(dir, name string) {
	if have, found := s.objects.dirs[dir][name]; found {
		s.sum -= objectFact(dir, name, have.sum)
		delete(s.objects.dirs[dir], name)
	}
}

func objectFact(dir, name string, sum uint64) uint64 {
	return fact('o', dir+"\x00"+name, sum)
}

func partFact(up *upload, i int64) uint64 {
	return fact('p', up.Client, up.Seq, uint64(i), fact('b', string(up.Parts[i])))
}

func newObjects() objects {
	return objects{dirs: map[string]map[string]object{}, uploads: map[string]*upload{}}
}

func (o *objects) read(dir, name string) (content []byte, found bool) {
	have, found := o.dirs[dir][name]
	return have.content, found
}

// image copies the objects into a snapshot.
func (o *objects) image(im *image) {
	for dir, names := range o.dirs {
		if im.Objects == nil {
			im.Objects = map[string]map[string][]byte{}
		}
		im.Objects[dir] = map[string][]byte{}
		for name, have := range names {
			im.Objects[dir][name] = have.content
		}
	}
	for _, client := range slices.Sorted(maps.Keys(o.uploads)) {
		up := *o.uploads[client]
		up.Parts = maps.Clone(up.Parts)
		im.Uploads = append(im.Uploads, up)
	}
}

// restoreObjects is the inverse of image.
func (s *state) restoreObjects(im *image) {
	for dir, names := range im.Objects {
		for name, content := range names {
			s.putObject(dir, name, content)
		}
	}
	for i := range im.Uploads {
		up := im.Uploads[i]
		up.Parts = maps.Clone(up.Parts)
		s.objects.uploads[up.Client] = &up
		for part := range up.Parts {
			s.sum += partFact(&up, part)
		}
	}
}
