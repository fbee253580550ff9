package tls13

import (
	"bytes"
	"slices"

	"longmen/tls/handshake"
)

// receiveHello takes the ClientHello and checks that it offers what the handshake needs. If
// all that is missing is a key share, the client is asked for it once (RFC 8446 §4.1.4).
func (s *server) receiveHello() error {
	hello, err := s.readHello()
	if err != nil {
		return err
	}
	if err := hello.requireTLS13(); err != nil {
		return err
	}
	if s.profile, err = s.choose(hello); err != nil {
		return err
	}
	s.transcript = newTranscript(s.profile.newHash)
	if err := s.acceptable(hello); err != nil {
		return err
	}
	s.conn.IgnoreChangeCipherSpec()
	if hello.share(s.profile.group) == nil {
		if hello, err = s.retry(hello); err != nil {
			return err
		}
	}
	s.hello = hello
	return nil
}

func (s *server) readHello() (*clientHello, error) {
	message, err := s.conn.Expect(handshake.ClientHello)
	if err != nil {
		return nil, err
	}
	// The hello is looked at until the handshake ends; the message is valid until the next.
	return parseClientHello(bytes.Clone(message))
}

// acceptable reports why no handshake with hello can be by what it offers.
func (s *server) acceptable(hello *clientHello) error {
	for _, need := range []struct {
		name string
		list []uint16
		want uint16
	}{
		{"suite", hello.suites, s.profile.suite},
		{"group", hello.groups, s.profile.group},
	} {
		if !slices.Contains(need.list, need.want) {
			return handshake.Errorf(handshake.HandshakeFailure, "the client does not offer the %s %#04x", need.name, need.want)
		}
	}
	return nil
}

// retry asks for a share of the group and gives the second hello.
func (s *server) retry(first *clientHello) (*clientHello, error) {
	request := &serverHello{
		retry:     true,
		sessionID: first.sessionID,
		suite:     s.profile.suite,
		version:   handshake.VersionTLS13,
		group:     s.profile.group,
		psk:       -1,
	}
	message, err := request.marshal()
	if err != nil {
		return nil, err
	}
	s.transcript.add(first.raw)
	s.transcript.retry(message)
	s.conn.Write(message)
	s.writeCompatibility(first)
	if err := s.conn.Flush(); err != nil {
		return nil, err
	}
	if err := s.skipEarlyData(first, nil); err != nil {
		return nil, err
	}
	if first.earlyData {
		s.result.EarlyData = handshake.EarlyDataRetry
	}
	second, err := s.readHello()
	if err != nil {
		return nil, err
	}
	if err := first.sameBut(second); err != nil {
		return nil, err
	}
	switch {
	case len(second.shares) != 1 || second.shares[0].group != s.profile.group:
		return nil, illegal("the second ClientHello does not hold the share that was asked for, and no other")
	case second.earlyData:
		return nil, illegal("early data after a retry")
	case second.cookie != nil:
		return nil, illegal("a cookie that was not given")
	case second.psks != nil && second.pskModes == nil:
		return nil, handshake.Errorf(handshake.MissingExtension, "ClientHello has no psk_key_exchange_modes")
	}
	return second, nil
}

// writeCompatibility adds the change_cipher_spec that makes middleboxes take the handshake for
// one of TLS 1.2 (RFC 8446 §D.4). It follows the server's first message.
func (s *server) writeCompatibility(hello *clientHello) {
	if len(hello.sessionID) != 0 {
		s.conn.WriteChangeCipherSpec()
	}
}

// chooseProtocol is ALPN (RFC 7301 §3.2).
func (s *server) chooseProtocol() error {
	if len(s.config.Protocols) == 0 || s.hello.protocols == nil {
		return nil
	}
	for _, protocol := range s.config.Protocols {
		if slices.Contains(s.hello.protocols, protocol) {
			s.result.Protocol = protocol
			return nil
		}
	}
	return handshake.Errorf(handshake.NoApplicationProtocol, "the client offers other application protocols only")
}

// sendServerHello answers with the server's share, and with the ticket that was taken up, and
// goes on to the handshake's keys.
func (s *server) sendServerHello() error {
	own, err := s.profile.newShare(s.random)
	if err != nil {
		return err
	}
	shared, err := own.shared(s.hello.share(s.profile.group))
	if err != nil {
		return handshake.Errorf(handshake.IllegalParameter, "the client's key share: %w", err)
	}
	answer := &serverHello{
		sessionID: s.hello.sessionID,
		suite:     s.profile.suite,
		version:   handshake.VersionTLS13,
		group:     s.profile.group,
		share:     own.public(),
		psk:       s.psk,
	}
	if answer.random, err = randomBytes(s.random, 32); err != nil {
		return err
	}
	s.transcript.add(s.hello.raw)
	if err := s.send(answer.marshal()); err != nil {
		return err
	}
	if s.transcript.retried == nil {
		s.writeCompatibility(s.hello)
	}
	return s.toHandshakeKeys(shared)
}

// toHandshakeKeys takes up the keys that protect the rest of the handshake.
func (s *server) toHandshakeKeys(shared []byte) error {
	s.secrets.toHandshake(shared)
	sum := s.transcript.sum()
	s.clientHS = s.secrets.derive(clientHandshakeTraffic, sum)
	s.serverHS = s.secrets.derive(serverHandshakeTraffic, sum)
	if err := logTraffic(s.config.KeyLog, s.hello.random, logClientHandshake, s.clientHS, logServerHandshake, s.serverHS); err != nil {
		return err
	}
	read, err := s.profile.half(s.clientHS)
	if err != nil {
		return err
	}
	write, err := s.profile.half(s.serverHS)
	if err != nil {
		return err
	}
	s.conn.SetWrite(write)
	if s.early {
		return s.conn.End() // the session reads on
	}
	return s.skipEarlyData(s.hello, read)
}
