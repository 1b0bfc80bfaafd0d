package sandbox

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// ears count the probes that arrive from peers, and echo probes from outside. Peers use
// UDP, in one direction only, to tell a one-way cut from a two-way one. From outside it
// is TCP, because the published port is one of TCP.
type ears struct {
	udp *net.UDPConn

	mu     sync.Mutex
	counts map[uint64]int // by token
	order  []uint64       // the oldest token first
}

const rememberTokens = 256

func listen() (*ears, error) {
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{Port: EchoPort})
	if err != nil {
		return nil, fmt.Errorf("probe port: %w", err)
	}
	tcp, err := net.Listen("tcp4", fmt.Sprintf(":%d", EchoPort))
	if err != nil {
		udp.Close()
		return nil, fmt.Errorf("probe port: %w", err)
	}
	e := &ears{udp: udp, counts: map[uint64]int{}}
	go e.count()
	go echo(tcp)
	return e, nil
}

func (e *ears) count() {
	var b [16]byte
	for {
		n, _, err := e.udp.ReadFromUDP(b[:])
		if err != nil {
			return
		}
		if n != 8 {
			continue
		}
		token := binary.BigEndian.Uint64(b[:])
		e.mu.Lock()
		if _, known := e.counts[token]; !known {
			e.order = append(e.order, token)
			if len(e.order) > rememberTokens {
				delete(e.counts, e.order[0])
				e.order = e.order[1:]
			}
		}
		e.counts[token]++
		e.mu.Unlock()
	}
}

func (e *ears) heard(token uint64) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.counts[token]
}

func (e *ears) send(to net.IP, token uint64, count int) error {
	b := binary.BigEndian.AppendUint64(nil, token)
	for range count {
		if _, err := e.udp.WriteToUDP(b, &net.UDPAddr{IP: to, Port: EchoPort}); err != nil {
			return fmt.Errorf("probe to %s: %w", to, err)
		}
	}
	return nil
}

// echo answers every connection with what it sends.
func echo(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			c.SetDeadline(time.Now().Add(5 * time.Second))
			io.Copy(c, io.LimitReader(c, 1<<10))
		}()
	}
}
