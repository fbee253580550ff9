package snapshot

import (
	"encoding/hex"
	"slices"
	"time"

	"longmen/tls/certificate"
)

// CertificateInfo is what may be told of a certificate that a listener or a
// cluster uses.
type CertificateInfo struct {
	Name        string // of its secret
	From        string // the file that it was read of
	Listener    string // that serves it; "" for one that a cluster shows
	Cluster     string // that shows it; "" for one that a listener serves
	Kind        string // "rsa", "ecdsa", "ed25519", "sm2"
	Pair        bool   // with a second SM2 certificate, for encryption
	Names       []string
	NotBefore   time.Time
	NotAfter    time.Time // the earlier one of a pair
	Serial      string
	Issuer      string
	Fingerprint string // SHA-256 of the certificate, in hexadecimal
	MustStaple  bool
	Stapled     bool // an OCSP response is sent with it
}

// Certificates lists the certificates in use at a time, in the order of listeners
// and then of clusters; one that several use is there for each of them.
func (s *Snapshot) Certificates(now time.Time) []CertificateInfo {
	var all []CertificateInfo
	for _, l := range s.Listeners {
		if l.TLS == nil {
			continue
		}
		for _, c := range l.TLS.Certificates.All() {
			info := certificateInfo(c, now)
			info.Listener = l.Name
			all = append(all, info)
		}
	}
	for _, c := range s.Clusters {
		if c == nil || c.Config().TLS == nil || c.Config().TLS.Certificate == nil {
			continue
		}
		info := certificateInfo(c.Config().TLS.Certificate, now)
		info.Cluster = c.Config().Name
		all = append(all, info)
	}
	return all
}

func certificateInfo(c *certificate.Certificate, now time.Time) CertificateInfo {
	info := CertificateInfo{
		Name: c.Name, From: c.From, Kind: c.Kind.String(), Pair: c.Encryption != nil, Names: slices.Clone(c.DNSNames),
		NotBefore: c.NotBefore, NotAfter: c.NotAfter, Serial: c.Serial, Issuer: c.Issuer,
		Fingerprint: hex.EncodeToString(c.Fingerprint[:]), MustStaple: c.MustStaple, Stapled: c.Staple(now) != nil,
	}
	for _, ip := range c.IPs {
		info.Names = append(info.Names, ip.String())
	}
	if c.Encryption != nil && c.Encryption.NotAfter.Before(info.NotAfter) {
		info.NotAfter = c.Encryption.NotAfter
	}
	return info
}
