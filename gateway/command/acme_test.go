package command

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"longmen/tls/acme"
)

// Certificates that were issued are served without another word, and a call
// without any changes nothing.
func TestRunServesWhatIsIssued(t *testing.T) {
	dir := t.TempDir()
	storage := filepath.Join(dir, "store")
	r := start(t, fmt.Sprintf(`listeners: {https: {bind: ":8443", routes: all, tls: auto}}
routes: {all: [{hosts: [shop.example.com], rules: [{respond: {status: 204}}]}]}
secrets: {auto: {acme: {agree: true, storage: %q}}}
`, storage))
	before := r.current.Load().snapshot
	if !before.Listeners[0].TLS.Pending["shop.example.com"] || len(before.Orders) != 1 {
		t.Fatalf("pending %v, orders %v", before.Listeners[0].TLS.Pending, before.Orders)
	}
	r.issued <- struct{}{}
	r.issued <- struct{}{} // the first one is being looked at, and has changed nothing
	cert(t, "--name", "shop.example.com", "--out", dir)
	settings := acme.Settings{Directory: acme.LetsEncrypt, Key: acme.P256, Storage: storage}
	certFile, keyFile := settings.Files("shop.example.com")
	must(t, os.MkdirAll(filepath.Dir(certFile), 0o700))
	must(t, os.Rename(filepath.Join(dir, "shop.example.com.key"), keyFile))
	must(t, os.Rename(filepath.Join(dir, "shop.example.com.crt"), certFile))
	r.issued <- struct{}{}
	after := r.next(t)
	if after.Version == before.Version || len(after.Listeners[0].TLS.Pending) != 0 || !after.Listeners[0].TLS.Certificates.Covers("shop.example.com") {
		t.Errorf("version %s, pending %v", after.Version, after.Listeners[0].TLS.Pending)
	}
	r.log.wait(t, "new certificates are served")
}
