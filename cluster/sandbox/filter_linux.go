package sandbox

import (
	"encoding/binary"
	"fmt"
	"math"
	"net"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// applyFilter makes the packet filter of this network namespace exactly f, in
// one netlink transaction.
func applyFilter(f Filter) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("nftables: %w", err)
	}
	// Adding a table that exists changes nothing, so that deleting it can't fail.
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "coup"})
	c.DelTable(table)
	table = c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "coup"})
	accept := nftables.ChainPolicyAccept
	chain := c.AddChain(&nftables.Chain{
		Name: "input", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter, Policy: &accept,
	})
	rule := func(exprs ...[]expr.Any) {
		var all []expr.Any
		for _, e := range exprs {
			all = append(all, e...)
		}
		c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: all})
	}
	for _, d := range f.Drops {
		from, err := fromAddress(d.From)
		if err != nil {
			return err
		}
		rule(from, withProbability(d.Loss), verdict(expr.VerdictDrop))
	}
	if f.Clients > 0 {
		rule(fromLoopback(), verdict(expr.VerdictAccept))
		for _, p := range f.Peers {
			from, err := fromAddress(p)
			if err != nil {
				return err
			}
			rule(from, verdict(expr.VerdictAccept))
		}
		rule(withProbability(f.Clients), verdict(expr.VerdictDrop))
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("nftables: %w", err)
	}
	return nil
}

func fromAddress(s string) ([]expr.Any, error) {
	ip := net.ParseIP(s).To4()
	if ip == nil {
		return nil, fmt.Errorf("%q is not an IPv4 address", s)
	}
	const sourceOffset = 12 // in the IPv4 header
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: sourceOffset, Len: 4},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: ip},
	}, nil
}

func fromLoopback() []expr.Any {
	name := make([]byte, 16) // IFNAMSIZ
	copy(name, "lo")
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: name},
	}
}

// withProbability matches a random share of the packets. The kernel compares
// registers as bytes, so the random number is put into network order first.
func withProbability(p float64) []expr.Any {
	if p >= 1 {
		return nil
	}
	const scale = 1 << 20
	limit := binary.BigEndian.AppendUint32(nil, uint32(math.Round(p*scale)))
	return []expr.Any{
		&expr.Numgen{Register: 1, Modulus: scale, Type: 1 /* NFT_NG_RANDOM */},
		&expr.Byteorder{SourceRegister: 1, DestRegister: 1, Op: expr.ByteorderHton, Len: 4, Size: 4},
		&expr.Cmp{Op: expr.CmpOpLt, Register: 1, Data: limit},
	}
}

func verdict(kind expr.VerdictKind) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: kind}}
}
