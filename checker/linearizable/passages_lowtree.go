package linearizable

// lowTree is a list of numbers that finds small ones: raising a range and
// finding the next small one take logarithmic time.
type lowTree struct {
	size   int
	lowest []int32 // of each node, without what its ancestors were raised by
	raised []int32
}

func newLowTree(n int) *lowTree {
	size := 1
	for size < n {
		size *= 2
	}
	return &lowTree{size: size, lowest: make([]int32, 2*size), raised: make([]int32, 2*size)}
}

// raise adds by to the numbers from one index to before another.
func (t *lowTree) raise(from, to int, by int32) { t.raiseIn(1, 0, t.size, from, to, by) }

func (t *lowTree) raiseIn(node, left, right, from, to int, by int32) {
	if to <= left || right <= from {
		return
	}
	if from <= left && right <= to {
		t.lowest[node] += by
		t.raised[node] += by
		return
	}
	mid := (left + right) / 2
	t.raiseIn(2*node, left, mid, from, to, by)
	t.raiseIn(2*node+1, mid, right, from, to, by)
	t.lowest[node] = min(t.lowest[2*node], t.lowest[2*node+1]) + t.raised[node]
}

// next is the first index from one to before another at which the number is at
// most this; to if there is none.
func (t *lowTree) next(from, to int, most int32) int {
	if at := t.nextIn(1, 0, t.size, from, to, most); at >= 0 {
		return at
	}
	return to
}

func (t *lowTree) nextIn(node, left, right, from, to int, most int32) int {
	if to <= left || right <= from || t.lowest[node] > most {
		return -1
	}
	if right-left == 1 {
		return left
	}
	mid := (left + right) / 2
	most -= t.raised[node]
	if at := t.nextIn(2*node, left, mid, from, to, most); at >= 0 {
		return at
	}
	return t.nextIn(2*node+1, mid, right, from, to, most)
}
