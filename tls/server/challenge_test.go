package server

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"

	"longmen/tls/certificate"
	"longmen/tls/handshake"
)

// shown are challenges of this gateway and of others.
type shown struct {
	active      bool
	own, others map[string]*tls.Certificate
}

func (s *shown) Active() bool                            { return s.active }
func (s *shown) Name(name string) *tls.Certificate       { return s.own[name] }
func (s *shown) StoredName(name string) *tls.Certificate { return s.others[name] }

// Who asks for the protocol of challenges alone is shown what is pending for the
// name; everybody else is served as always.
func TestChallenge(t *testing.T) {
	s := newSecret(t)
	own, other := s.identity()[0], s.identity()[0]
	pending := &shown{active: true, own: map[string]*tls.Certificate{"open.test": &own}, others: map[string]*tls.Certificate{"new.test": &other}}
	s.shown = pending
	dial := func(name string, protocols ...string) (*tls.ConnectionState, error) {
		config := s.client(name, nil)
		config.NextProtos, config.InsecureSkipVerify = protocols, true
		state, err := s.dial(config)
		return &state, err
	}
	for name, want := range map[string]*tls.Certificate{"open.test": &own, "new.test": &other} {
		state, err := dial(name, ChallengeProtocol)
		if err != nil || s.err != nil {
			t.Fatalf("%s: %v, %v", name, err, s.err)
		}
		if state.NegotiatedProtocol != ChallengeProtocol || s.last.Protocol != ChallengeProtocol || string(state.PeerCertificates[0].Raw) != string(want.Certificate[0]) {
			t.Errorf("%s: %q, %q, %v", name, state.NegotiatedProtocol, s.last.Protocol, state.PeerCertificates[0].Subject)
		}
	}
	if state, err := dial("open.test", "open", ChallengeProtocol); err != nil || state.NegotiatedProtocol != "open" || state.PeerCertificates[0].DNSNames[0] != "open.test" {
		t.Errorf("who offers more is served %+v, %v", state.NegotiatedProtocol, err)
	}
	if _, err := dial("old.test", ChallengeProtocol); err == nil || !strings.Contains(err.Error(), "no application protocol") {
		t.Errorf("nothing is pending: %v", err)
	}
	pending.active = false
	if _, err := dial("open.test", ChallengeProtocol); err == nil {
		t.Error("shown while nothing can be pending")
	}
}

// Names that wait for their certificate are refused; others are served as always.
func TestPending(t *testing.T) {
	s := newSecret(t)
	s.config.Pending = map[string]bool{"new.test": true}
	refused := func(name string) {
		t.Helper()
		_, err := s.dial(s.client(name, nil))
		e, ok := errors.AsType[*handshake.Error](s.err)
		if err == nil || !ok || e.Alert != handshake.UnrecognizedName || !errors.Is(s.err, errPending) {
			t.Errorf("%s: %v, %v", name, err, s.err)
		}
	}
	refused("new.test")
	if _, err := s.dial(s.client("open.test", nil)); err != nil {
		t.Error(err)
	}
	s.config.Certificates = certificate.NewTable(nil)
	refused("new.test")
	refused("open.test")
}
