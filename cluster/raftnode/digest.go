package raftnode

// The digest of a state is the sum, modulo 2^64, of the hashes of its facts
// ("register k holds 5", "set k has 7", ...). A sum does not depend on the
// order of its terms, so that it can be kept up to date fact by fact and comes
// out equal however a replica arrived at its state.

// fact hashes one fact: FNV-1a over its parts, then the finalizer of
// MurmurHash3, because sums of bare FNV values cancel out too easily.
func fact(kind byte, key string, numbers ...uint64) uint64 {
	const prime = 1099511628211
	h := uint64(14695981039346656037)
	h = (h ^ uint64(kind)) * prime
	for i := 0; i < len(key); i++ {
		h = (h ^ uint64(key[i])) * prime
	}
	h = (h ^ uint64(len(key))) * prime
	for _, n := range numbers {
		for range 8 {
			h = (h ^ (n & 0xff)) * prime
			n >>= 8
		}
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

func registerFact(key string, v int64) uint64    { return fact('r', key, uint64(v)) }
func setFact(key string, v int64) uint64         { return fact('s', key, uint64(v)) }
func queueFact(key string, pos, v uint64) uint64 { return fact('q', key, pos, v) }
func counterFact(key string, v int64) uint64     { return fact('c', key, uint64(v)) }

func listFact(key string, pos int, v int64) uint64 {
	return fact('l', key, uint64(pos), uint64(v))
}

// taskFact leaves the ends of leases out. If they differ, it shows in who gets a task next.
func taskFact(key string, id int64, t *task) uint64 {
	var waits, after uint64
	if t.after != nil {
		waits, after = 1, uint64(*t.after)
	}
	return fact('b', key, uint64(id), waits, after, uint64(t.token))
}

func finishedFact(key string, id int64) uint64 { return fact('f', key, uint64(id)) }

// letterFact leaves the end of the delivery and the place in the queue out, which show in who gets
// what next.
func letterFact(key string, l letter) uint64 {
	return fact('p', key, uint64(l.ID), uint64(l.Producer), uint64(l.Token), uint64(l.Given))
}

func deadFact(key string, id int64) uint64 { return fact('d', key, uint64(id)) }

func sessionFact(s *session) uint64 {
	var set, value uint64
	if s.Result.Value != nil {
		set, value = 1, uint64(*s.Result.Value)
	}
	if s.Result.Token != nil {
		value += fact('k', "", uint64(*s.Result.Token))
	}
	for i, m := range s.Result.Txn {
		// A list only grows: its length says what it held.
		value += fact('t', m.F+" "+m.Key, uint64(i), uint64(m.Value), uint64(len(m.List)))
	}
	if s.Result.Given != 0 {
		value += fact('a', "", uint64(s.Result.Given), uint64(s.Result.Lease))
	}
	return fact('x', s.Client+"\x00"+string(s.Result.Refused), s.Seq, set, value)
}
