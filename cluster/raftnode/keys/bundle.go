package keys

import (
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
)

// Bundle is what a node is given: its key, its certificate, that of the authority, and the
// secrets of the tokens that it accepts.
type Bundle struct {
	Generation  int            `json:"generation"`
	Authority   string         `json:"authority"`   // PEM
	Certificate string         `json:"certificate"` // PEM
	Key         []byte         `json:"key"`         // the seed of an Ed25519 key
	Tokens      map[int][]byte `json:"tokens"`      // the secret of each generation that is accepted
}

// NewBundle is the bundle of a node with a certificate that the authority has issued. It
// accepts the tokens of these generations.
func (a *Authority) NewBundle(cert tls.Certificate, generation int, accept ...int) Bundle {
	b := Bundle{
		Generation: generation, Authority: string(a.PEM()), Certificate: string(certificatePEM(cert.Certificate[0])),
		Key: cert.PrivateKey.(ed25519.PrivateKey).Seed(), Tokens: map[int][]byte{},
	}
	for _, g := range accept {
		b.Tokens[g] = a.TokenSecret(g)
	}
	return b
}

// Encode is the content of the file.
func (b Bundle) Encode() []byte {
	text, _ := json.Marshal(b) // no bundle holds anything that can't be encoded
	return append(text, '\n')
}

// loaded is a bundle that was read.
type loaded struct {
	generation int
	cert       tls.Certificate
	pool       *x509.CertPool
	tokens     map[int][]byte
}

// decode reads a file. It fails for one that is not whole.
func decode(text []byte) (*loaded, error) {
	var b Bundle
	if err := json.Unmarshal(text, &b); err != nil {
		return nil, err
	}
	l := &loaded{generation: b.Generation, pool: x509.NewCertPool(), tokens: b.Tokens}
	if !l.pool.AppendCertsFromPEM([]byte(b.Authority)) {
		return nil, errors.New("it has no certificate of an authority")
	}
	block, _ := pem.Decode([]byte(b.Certificate))
	if block == nil {
		return nil, errors.New("it has no certificate of the node")
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("certificate of the node: %w", err)
	}
	if len(b.Key) != ed25519.SeedSize {
		return nil, errors.New("it has no key of the node")
	}
	key := ed25519.NewKeyFromSeed(b.Key)
	if !key.Public().(ed25519.PublicKey).Equal(leaf.PublicKey) {
		return nil, errors.New("the key is not that of the certificate")
	}
	l.cert = tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: key, Leaf: leaf}
	return l, nil
}
