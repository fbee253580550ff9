package snapshot

import (
	"encoding/hex"
	"slices"
	"time"

	"longmen/tls/certificate"
	"longmen/tls/verify"
)

// CertificateInfo is what may be told of a certificate that a listener or a
// cluster uses.
type CertificateInfo struct {
	Name        string // of its secret
	From        string // the file that it was read of
	Listener    string // that serves it; "" for one that a cluster shows
	Cluster     string // that shows it; "" for one that a listener serves
	Kind        string // "rsa", "ecdsa", "ed25519", "sm2"
	Names       []string
	NotBefore   time.Time
	NotAfter    time.Time
	Serial      string
	Subject     string
	Issuer      string
	Fingerprint string // SHA-256 of the certificate, in hexadecimal
	MustStaple  bool
	// StapledUntil is until when an OCSP response is sent with it; zero when there is none.
	StapledUntil time.Time
	// Encryption is the second certificate of a TLCP pair; else nil.
	Encryption *CertificateInfo

	der []byte
}

// URIs are the URIs among the subject alternative names. The certificate is read
// for them.
func (i *CertificateInfo) URIs() []string {
	if own := verify.NewIdentity(i.der).Peer(); own != nil {
		return own.URIs()
	}
	return nil
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
		Name: c.Name, From: c.From, Kind: c.Kind.String(), Names: slices.Clone(c.DNSNames),
		NotBefore: c.NotBefore, NotAfter: c.NotAfter, Serial: c.Serial, Subject: c.Subject, Issuer: c.Issuer,
		Fingerprint: hex.EncodeToString(c.Fingerprint[:]), MustStaple: c.MustStaple, StapledUntil: c.StapledUntil(now), der: c.Chain[0],
	}
	for _, ip := range c.IPs {
		info.Names = append(info.Names, ip.String())
	}
	if c.Encryption != nil {
		second := certificateInfo(c.Encryption, now)
		info.Encryption = &second
	}
	return info
}

// Expires is the end of its life, the earlier one of a pair.
func (i *CertificateInfo) Expires() time.Time {
	if i.Encryption != nil && i.Encryption.NotAfter.Before(i.NotAfter) {
		return i.Encryption.NotAfter
	}
	return i.NotAfter
}
