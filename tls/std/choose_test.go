package std

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"

	"longmen/tls/handshake"
)

// A configuration that is chosen when the ClientHello is known does all that one does which is
// there from the beginning: its certificate, its protocols, its tickets, in each version.
func TestChoose(t *testing.T) {
	ca := newAuthority(t)
	own := ca.issue(t, false)
	for _, v := range variants() {
		if v.rsa {
			continue
		}
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			chosen := v.limit(&tls.Config{NextProtos: []string{"chosen"}})
			chosen.SetSessionTicketKeys([][32]byte{{2}})
			options := Options{
				Choose: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
					if hello.ServerName != testName {
						t.Errorf("asked for %q", hello.ServerName)
					}
					return chosen, nil
				},
				GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &own, nil },
			}
			cache := tls.NewLRUClientSessionCache(1)
			for i := range 3 {
				client, server := pair(t)
				peer := tls.Client(client, &tls.Config{RootCAs: ca.pool, ServerName: testName, NextProtos: []string{"chosen"}, ClientSessionCache: cache})
				done := make(chan error, 1)
				go func() { done <- peer.Handshake() }()
				result, err := Server(server, &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{"first"}}, options)
				if err != nil {
					t.Fatal(err)
				}
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				if result.Version != v.version || result.Protocol != "chosen" || result.Resumed != (i > 0) {
					t.Errorf("connection %d: %+v", i, result)
				}
				exchange(t, peer, &secured{Conn: server, Result: result}, messages[:2]...)
			}
		})
	}
}

// Whoever chooses says what the client is told.
func TestChooseRefuses(t *testing.T) {
	client, server := pair(t)
	peer := tls.Client(client, &tls.Config{ServerName: testName})
	done := make(chan error, 1)
	go func() { done <- peer.Handshake() }()
	cause := errors.New("no such name")
	_, err := Server(server, &tls.Config{}, Options{Choose: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return nil, &handshake.Error{Alert: handshake.UnrecognizedName, Cause: cause}
	}})
	if e, ok := errors.AsType[*handshake.Error](err); !ok || e.Alert != handshake.UnrecognizedName || !e.Sent || !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
	server.Close()
	if err := <-done; err == nil || !strings.Contains(err.Error(), tls.AlertError(handshake.UnrecognizedName).Error()) {
		t.Errorf("the client was told %v", err)
	}
}
