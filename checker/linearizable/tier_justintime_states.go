package linearizable

import "encoding/binary"

func (j *justInTime) intern(state any) int32 {
	s, known := j.stateIndex[state]
	if !known {
		s = int32(len(j.states))
		j.states = append(j.states, state)
		j.stateIndex[state] = s
	}
	return s
}

// stepTaken is what an operation of a class does to a state.
type stepTaken struct {
	class, state int32 // each one more than it is: 0 is no step
	after        int32 // none if it cannot answer so
}

// step is the state after an operation of a class, none if it cannot answer so.
func (j *justInTime) step(class, state int32) int32 {
	s := &j.steps[int(uint32(class)*0x9e3779b1^uint32(state)*0x85ebca77)>>7&(len(j.steps)-1)]
	if s.class != class+1 || s.state != state+1 {
		after := none
		if next, ok := j.m.Step(j.states[state], j.ops[j.sample[class]]); ok {
			after = j.intern(next)
		}
		*s = stepTaken{class + 1, state + 1, after}
	}
	return s.after
}

// A usage is written as pairs of an open class and how many of it were used,
// in the order of the classes, those that were not used left out.
const pairSize = 8

func (j *justInTime) internUsage(u string) int32 {
	id, known := j.usageIndex[u]
	if !known {
		id = int32(len(j.usages))
		j.usages = append(j.usages, u)
		j.usageIndex[u] = id
	}
	return id
}

func pairAt(u string, i int) (class, count uint32) {
	b := []byte(u[i*pairSize : (i+1)*pairSize])
	return binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
}

// usedOf is how many of the open class c were used.
func (j *justInTime) usedOf(usage int32, c int) int {
	if len(j.counts) == 0 || j.counted != usage {
		j.counted, j.counts = usage, append(j.counts[:0], make([]uint32, len(j.open))...)
		u := j.usages[usage]
		for i := range len(u) / pairSize {
			class, count := pairAt(u, i)
			j.counts[class] = count
		}
	}
	return int(j.counts[c])
}

// useOne is the usage with one more of the open class c.
func (j *justInTime) useOne(usage int32, c int) int32 {
	u := j.usages[usage]
	var b []byte
	put := func(class, count uint32) {
		b = binary.BigEndian.AppendUint32(b, class)
		b = binary.BigEndian.AppendUint32(b, count)
	}
	done := false
	for i := range len(u) / pairSize {
		class, count := pairAt(u, i)
		if class == uint32(c) {
			count, done = count+1, true
		} else if class > uint32(c) && !done {
			put(uint32(c), 1)
			done = true
		}
		put(class, count)
	}
	if !done {
		put(uint32(c), 1)
	}
	return j.internUsage(string(b))
}

// within says whether usage a used no more of anything than usage b.
func (j *justInTime) within(a, b int32) bool {
	if a == b {
		return true
	}
	x, y := j.usages[a], j.usages[b]
	if len(x) > len(y) {
		return false
	}
	at := 0
	for i := range len(x) / pairSize {
		class, count := pairAt(x, i)
		for ; ; at++ {
			if at*pairSize >= len(y) {
				return false
			}
			if c, n := pairAt(y, at); c == class {
				if n < count {
					return false
				}
				break
			} else if c > class {
				return false
			}
		}
	}
	return true
}
