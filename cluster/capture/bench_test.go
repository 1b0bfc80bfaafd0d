package capture

import "testing"

// BenchmarkRing is what the agent pays in its own code for a packet of usual size.
func BenchmarkRing(b *testing.B) {
	r := NewRing(b.TempDir(), 64<<20)
	p := Packet{Direction: Inbound, Data: make([]byte, 300)}
	b.SetBytes(int64(len(p.Data)))
	for b.Loop() {
		p.Time++
		if err := r.Add(p); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := r.Close(); err != nil {
		b.Fatal(err)
	}
}
