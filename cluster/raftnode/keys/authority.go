package keys

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"
)

// Role is what somebody is to a node.
type Role string

// The roles.
const (
	Node     Role = "node"     // another node: may ask what nodes ask of each other, without a token
	Client   Role = "client"   // may use the operations on objects
	Operator Role = "operator" // may also change the cluster
)

// Identity is who somebody is, by a certificate.
type Identity struct {
	Role Role
	Name string // n1, p3, ...
}

const domain = ".coup"

// DNS is the name in the certificate.
func (i Identity) DNS() string { return i.Name + "." + string(i.Role) + domain }

// identify reads the name in a certificate.
func identify(c *x509.Certificate) (Identity, error) {
	if len(c.DNSNames) != 1 {
		return Identity{}, fmt.Errorf("a certificate with %d names", len(c.DNSNames))
	}
	rest, ok := strings.CutSuffix(c.DNSNames[0], domain)
	name, role, two := strings.Cut(rest, ".")
	switch i := (Identity{Role(role), name}); i.Role {
	case Node, Client, Operator:
		if ok && two && name != "" {
			return i, nil
		}
	}
	return Identity{}, fmt.Errorf("%s is the name of nobody here", c.DNSNames[0])
}

// Authority issues certificates. It is safe for concurrent use.
type Authority struct {
	cert   *x509.Certificate
	key    ed25519.PrivateKey
	secret []byte
}

// NewAuthority makes an authority whose certificates are valid at most between two times.
// All its keys follow from the secret: who has the same secret has the same authority.
func NewAuthority(secret []byte, name string, from, until time.Time) (*Authority, error) {
	a := &Authority{secret: derive(secret, "authority "+name)}
	a.key = ed25519.NewKeyFromSeed(derive(a.secret, "key"))
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: from, NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(nil, t, t, a.key.Public(), a.key)
	if err == nil {
		a.cert, err = x509.ParseCertificate(der)
	}
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	return a, nil
}

// derive makes a secret of 32 bytes out of another one.
func derive(secret []byte, what string) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(what))
	return mac.Sum(nil)
}

// Issue makes a key and a certificate for a name. The serial number is that of the
// generation, so that one can see which one somebody shows.
func (a *Authority) Issue(dns string, generation int, from, until time.Time) (tls.Certificate, error) {
	key := ed25519.NewKeyFromSeed(derive(a.secret, fmt.Sprintf("key %s %d", dns, generation)))
	t := &x509.Certificate{
		SerialNumber: Serial(generation), Subject: pkix.Name{CommonName: dns}, DNSNames: []string{dns},
		NotBefore: from, NotAfter: until,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(nil, t, a.cert, key.Public(), a.key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate of %s: %w", dns, err)
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}

// Serial is the serial number of the certificates of a generation.
func Serial(generation int) *big.Int { return big.NewInt(int64(generation) + 2) }

// Pool holds the authority's certificate.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// PEM is the authority's certificate.
func (a *Authority) PEM() []byte { return certificatePEM(a.cert.Raw) }

func certificatePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// TokenSecret is what the tokens of a generation are made of.
func (a *Authority) TokenSecret(generation int) []byte {
	return derive(a.secret, "tokens "+strconv.Itoa(generation))
}

// Token is the token of somebody: the generation, and a code that only who knows the
// secret of that generation can make.
func Token(secret []byte, generation int, of Identity) string {
	return strconv.Itoa(generation) + "." + hex.EncodeToString(derive(secret, of.DNS()))
}
