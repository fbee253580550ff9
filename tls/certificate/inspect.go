package certificate

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/asn1"
	"fmt"
	"net/netip"
	"strings"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"
)

// kindOf tells the kind of a public key and its size in bits.
func kindOf(public any) (Kind, int, error) {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return RSA, k.N.BitLen(), nil
	case *ecdsa.PublicKey:
		bits := k.Curve.Params().BitSize
		switch {
		case sm2.IsSM2PublicKey(k):
			return SM2, bits, nil
		case bits == 256 || bits == 384 || bits == 521:
			return ECDSA, bits, nil
		}
	case ed25519.PublicKey:
		return Ed25519, 256, nil
	}
	return 0, 0, errUnknownKind
}

// weakSignature says which broken hash a certificate is signed with. The signature of a
// self-issued one is never looked at by a client.
func weakSignature(c *smx509.Certificate) string {
	switch c.SignatureAlgorithm {
	case smx509.MD2WithRSA, smx509.MD5WithRSA, smx509.SHA1WithRSA, smx509.DSAWithSHA1, smx509.ECDSAWithSHA1:
		if string(c.RawSubject) != string(c.RawIssuer) {
			return fmt.Sprintf("signed with %s", c.SignatureAlgorithm)
		}
	}
	return ""
}

// weakness says why clients may refuse a chain for its cryptography.
func weakness(leaf *smx509.Certificate, chain []*link) string {
	if public, ok := leaf.PublicKey.(*rsa.PublicKey); ok && public.N.BitLen() < 2048 {
		return fmt.Sprintf("its RSA key has %d bits; 2048 is the least that clients take", public.N.BitLen())
	}
	for i, l := range chain {
		if l.weak != "" && i == 0 {
			return "it is " + l.weak + ", which clients refuse"
		}
		if l.weak != "" {
			return fmt.Sprintf("authority %q in its chain is %s, which clients refuse", commonName(l), l.weak)
		}
	}
	return ""
}

// purposes reads the extended key usage (RFC 5280, section 4.2.1.12): without one, all is allowed.
func purposes(leaf *smx509.Certificate) (server, client bool) {
	if len(leaf.ExtKeyUsage) == 0 && len(leaf.UnknownExtKeyUsage) == 0 {
		return true, true
	}
	for _, usage := range leaf.ExtKeyUsage {
		server = server || usage == smx509.ExtKeyUsageServerAuth || usage == smx509.ExtKeyUsageAny
		client = client || usage == smx509.ExtKeyUsageClientAuth || usage == smx509.ExtKeyUsageAny
	}
	return server, client
}

// mustStaple reads the TLS feature extension (RFC 7633): a list of TLS extensions,
// status_request is 5.
func mustStaple(leaf *smx509.Certificate) bool {
	for _, extension := range leaf.Extensions {
		if !extension.Id.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}) {
			continue
		}
		var features []int
		if _, err := asn1.Unmarshal(extension.Value, &features); err != nil {
			return false
		}
		for _, feature := range features {
			if feature == 5 {
				return true
			}
		}
	}
	return false
}

// readNames fills in the names: those of the subject alternative name, and the common name
// only where there are none (RFC 6125 has retired it; today's clients no longer look at it).
func (c *Certificate) readNames(leaf *smx509.Certificate) error {
	if len(leaf.DNSNames)+len(leaf.IPAddresses) > maxNames {
		return fmt.Errorf("%s: more than %d names", c.From, maxNames)
	}
	for _, name := range leaf.DNSNames {
		if folded, ok := foldName(name); ok {
			c.DNSNames = append(c.DNSNames, folded)
		} else {
			c.warn("the name %q is no DNS name (a wildcard is the whole first label) and matches nothing", clip(name))
		}
	}
	for _, ip := range leaf.IPAddresses {
		if address, ok := netip.AddrFromSlice(ip); ok {
			c.IPs = append(c.IPs, address.Unmap())
		}
	}
	if len(leaf.DNSNames)+len(leaf.IPAddresses) == 0 {
		if folded, ok := foldName(leaf.Subject.CommonName); ok && strings.Contains(folded, ".") {
			c.DNSNames = append(c.DNSNames, folded)
			c.warn("it has no subject alternative name, only the common name %q, which clients no longer look at; ask for a certificate with subject alternative names", folded)
		}
	}
	return nil
}

// foldName gives a DNS name in lower case and without a final dot, if it is one: labels of
// letters, digits, "-" and "_", of which the first may be "*" if another follows.
func foldName(name string) (folded string, ok bool) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if name == "" || len(name) > 253 {
		return "", false
	}
	rest, wild := strings.CutPrefix(name, "*.")
	if wild && rest == "" {
		return "", false
	}
	for label := range strings.SplitSeq(rest, ".") {
		if label == "" || len(label) > 63 {
			return "", false
		}
		for _, b := range []byte(label) {
			if (b < 'a' || b > 'z') && (b < '0' || b > '9') && b != '-' && b != '_' {
				return "", false
			}
		}
	}
	return name, true
}

// clip bounds what a message shows of foreign text.
func clip(text string) string {
	if len(text) > 80 {
		return text[:80] + "..."
	}
	return text
}
