package engine

import "slices"

// pointer is a pointer's value of 32 bits, kept in a local as long as the one of
// 64 bits that it is made of stays the same.
type pointer struct {
	local    int
	stretch  int   // of instructions without a branch, in which it is made
	first    int64 // where the first access ends, from the pointer
	most     int64 // where the farthest ends that is sure to be made
	accesses int
	made     bool // while writing
}

// places is what is known at a place of a function.
type places struct {
	pointer []int // for each local one more than the pointer that is made of it; 0: none
	changes []int // of each local so far
}

func (p places) clone() places { return places{slices.Clone(p.pointer), slices.Clone(p.changes)} }

// findPointers chooses the pointers to keep: an address is taken from one that
// was made on every way to it, or makes one.
func (f *function) findPointers() {
	now := places{make([]int, f.locals), make([]int, f.locals)}
	var open []places // where the constructs around began
	stretch := 0
	for k := range f.code {
		c := &f.code[k]
		if c.length > 0 && c.n != stackPointer {
			if now.pointer[c.n] == 0 {
				f.pointers = append(f.pointers, pointer{local: int(c.n), stretch: stretch})
				now.pointer[c.n] = len(f.pointers)
			}
			c.edit, c.pointer = fromPointer, now.pointer[c.n]-1
		}
		if c.isAccess() && c.of > 0 && f.code[c.of-1].edit == fromPointer {
			f.pointers[f.code[c.of-1].pointer].access(c, stretch)
		}
		if c.edit == drop && (c.op == opBlock || c.op == opEnd) {
			continue
		}
		switch c.op {
		case opLocalSet, opLocalTee:
			now.pointer[c.n] = 0
			now.changes[c.n]++
			continue
		case opLoop: // it comes here again
			clear(now.pointer)
			open = append(open, now.clone())
		case opBlock, opIf:
			open = append(open, now.clone())
		case opElse:
			copy(now.pointer, open[len(open)-1].pointer)
		case opEnd:
			n := len(open)
			if n == 0 {
				break // of the function
			}
			for l, changes := range open[n-1].changes {
				if now.pointer[l] = open[n-1].pointer[l]; now.changes[l] != changes {
					now.pointer[l] = 0
				}
			}
			open = open[:n-1]
		default:
			if _, _, straight := c.effect(); straight {
				continue
			}
		}
		stretch++
	}
}

// access notes an access by the pointer.
func (p *pointer) access(c *instruction, stretch int) {
	end := c.n + c.size()
	if p.accesses++; p.accesses == 1 {
		p.first = end
	}
	// Later accesses may depend on a branch, and the pointer may point at the end of memory.
	if p.stretch == stretch {
		p.most = max(p.most, end)
	}
}
