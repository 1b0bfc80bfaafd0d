package linearizable

// smallest is a heap of values that gives back the smallest first.
type smallest []int64

func (s *smallest) add(value int64) {
	h := append(*s, value)
	for i := len(h) - 1; i > 0 && h[i] < h[(i-1)/2]; i = (i - 1) / 2 {
		h[i], h[(i-1)/2] = h[(i-1)/2], h[i]
	}
	*s = h
}

// take removes the smallest. There must be one.
func (s *smallest) take() int64 {
	h := *s
	top, last := h[0], len(h)-1
	h[0], h = h[last], h[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child+1 < len(h) && h[child+1] < h[child] {
			child++
		}
		if child >= len(h) || h[i] <= h[child] {
			break
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
	*s = h
	return top
}
