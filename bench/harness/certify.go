package harness

import (
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"

	"longmen/bench/authority"
	"longmen/bench/peers"
)

// certified are the certificates of one case, the same for all proxies.
type certified struct {
	list  []authority.Certificate // by host
	trust *x509.CertPool          // nil for SM2
}

// certify makes the certificates that a case wants, in a directory of their
// own.
func (b *Bench) certify(c Case) error {
	b.certified = certified{}
	if c.TLS == "" {
		return nil
	}
	dir := filepath.Join(b.dir, c.Name+".certs")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	signer, err := authority.New(c.Key, dir)
	if err != nil {
		return fmt.Errorf("certificates: %w", err)
	}
	b.trust = signer.Pool()
	for _, h := range c.Hosts() {
		made, err := signer.Issue(h.Name)
		if err != nil {
			return err
		}
		b.list = append(b.list, made)
	}
	return nil
}

// hosts are the case's, with their certificates.
func (b *Bench) hosts(c Case) []peers.Host {
	hosts := c.Hosts()
	for i := range b.list {
		hosts[i].Certificate = b.list[i]
	}
	return hosts
}
