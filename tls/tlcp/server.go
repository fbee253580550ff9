package tlcp

import (
	"bytes"
	"net"
	"slices"

	"github.com/emmansun/gmsm/smx509"

	"longmen/tls/handshake"
	"longmen/tls/record"
)

// Server runs a handshake as the server, from the ClientHello on, and leaves the first byte
// after it unread in conn. It blocks only as conn does. The error is an *handshake.Error if
// either side ended the handshake by an alert, else what conn said.
func Server(conn net.Conn, config *ServerConfig) (*handshake.Result, error) {
	s := &server{flow: newFlow(handshake.NewConn(conn, version)), config: config}
	result, err := s.run()
	if err != nil {
		err = s.conn.Fail(err)
		if s.resumed != nil && endsSession(err) {
			config.Sessions.Remove(string(s.resumed.id))
		}
		return nil, err
	}
	return result, nil
}

type server struct {
	flow
	config  *ServerConfig
	suites  []uint16 // that may be chosen
	hello   *clientHello
	answer  *serverHello
	resumed *Session // nil in a full handshake
	peer    *peer    // nil: the client has shown no certificate
}

func (s *server) run() (*handshake.Result, error) {
	c := s.config.Certificate
	if c == nil || len(c.Chain) < 2 || c.Sign == nil || c.Encrypt == nil {
		return nil, errNoCertificate
	}
	if s.suites = usable(s.config.Suites, c); len(s.suites) == 0 {
		return nil, errNoSuite
	}
	if err := s.readHello(); err != nil {
		return nil, err
	}
	if err := s.prepareAnswer(); err != nil {
		return nil, err
	}
	if s.resumed = s.findSession(); s.resumed != nil {
		return s.resume()
	}
	return s.full()
}

func (s *server) readHello() error {
	body, err := s.read(handshake.ClientHello)
	if err != nil {
		return err
	}
	if s.hello, err = parseClientHello(body); err != nil {
		return err
	}
	// A client says its highest version: a later one than ours may be answered with ours.
	if s.hello.version < version || s.hello.version>>8 != version>>8 {
		return handshake.Errorf(handshake.ProtocolVersion, "a ClientHello of version %#04x", s.hello.version)
	}
	if !bytes.Contains(s.hello.compressions, []byte{0}) {
		return handshake.Errorf(handshake.IllegalParameter, "a ClientHello without the null compression")
	}
	s.clientRandom = s.hello.random
	return nil
}

// prepareAnswer makes the part of ServerHello that a full and a resumed handshake share.
func (s *server) prepareAnswer() (err error) {
	s.answer = &serverHello{version: version, renegotiation: s.hello.renegotiation, nameTaken: s.hello.serverName != ""}
	if s.answer.random, err = random(s.config.Rand, randomLen); err != nil {
		return err
	}
	s.serverRandom = s.answer.random
	if len(s.config.Protocols) == 0 || len(s.hello.protocols) == 0 {
		return nil
	}
	for _, name := range s.config.Protocols {
		if slices.Contains(s.hello.protocols, name) {
			s.answer.protocol = name
			return nil
		}
	}
	return handshake.Errorf(handshake.NoApplicationProtocol, "the client offers no application protocol of ours")
}

// findSession gives the session that the client asks for, if it is known and may go on.
func (s *server) findSession() *Session {
	if s.config.Sessions == nil || len(s.hello.sessionID) == 0 {
		return nil
	}
	session := s.config.Sessions.Load(string(s.hello.sessionID), now(s.config.Time))
	if session == nil || !session.fits(s.hello, s.config.Context, s.suites) {
		return nil
	}
	if s.config.ClientAuth == ClientAuthRequire && (session.chain == nil || s.config.ClientCAs != nil && !session.verified) {
		return nil
	}
	return session
}

// resume takes up an earlier session (GB/T 38636 §6.4.5, the short handshake).
func (s *server) resume() (*handshake.Result, error) {
	s.suite, s.master = s.resumed.suite, s.resumed.master
	s.answer.suite, s.answer.sessionID = s.suite, s.hello.sessionID
	s.answer.nameTaken = false // RFC 6066 §3
	if s.resumed.chain != nil {
		p, err := parsePeer(s.resumed.chain)
		if err != nil {
			return nil, err
		}
		p.verified = s.resumed.verified
		if err := finalWord(s.config.VerifyPeer, p); err != nil {
			return nil, err
		}
		s.peer = p
	}
	client, server, err := s.halves()
	if err != nil {
		return nil, err
	}
	if err := s.logKeys(s.config.KeyLog); err != nil {
		return nil, err
	}
	if err := s.write(s.answer.marshal()); err != nil {
		return nil, err
	}
	if err := s.writeFinished(serverFinished, server); err != nil {
		return nil, err
	}
	if err := s.conn.Flush(); err != nil {
		return nil, err
	}
	if err := s.readFinished(clientFinished, client); err != nil {
		return nil, err
	}
	return s.result(client, server)
}

// full runs a full handshake.
func (s *server) full() (*handshake.Result, error) {
	if err := s.choose(); err != nil {
		return nil, err
	}
	exchange, err := s.writeFlight()
	if err != nil {
		return nil, err
	}
	if err := s.readFlight(exchange); err != nil {
		return nil, err
	}
	client, server, err := s.halves()
	if err != nil {
		return nil, err
	}
	if err := s.logKeys(s.config.KeyLog); err != nil {
		return nil, err
	}
	if err := s.readFinished(clientFinished, client); err != nil {
		return nil, err
	}
	if err := s.writeFinished(serverFinished, server); err != nil {
		return nil, err
	}
	if err := s.conn.Flush(); err != nil {
		return nil, err
	}
	s.store()
	return s.result(client, server)
}

// choose picks the suite and, if sessions are kept, the new session's id.
func (s *server) choose() (err error) {
	for _, suite := range s.suites {
		if slices.Contains(s.hello.suites, suite) {
			s.suite, s.answer.suite = suite, suite
			break
		}
	}
	if s.suite == 0 {
		return handshake.Errorf(handshake.HandshakeFailure, "the client offers no cipher suite of ours")
	}
	if s.config.Sessions != nil {
		s.answer.sessionID, err = random(s.config.Rand, maxSessionID)
	}
	return err
}

// asksCertificate reports whether the client is asked for certificates.
func (s *server) asksCertificate() bool {
	return s.config.ClientAuth != ClientAuthNone || agrees(s.suite)
}

// writeFlight sends ServerHello up to ServerHelloDone.
func (s *server) writeFlight() (serverExchange, error) {
	if err := s.write(s.answer.marshal()); err != nil {
		return nil, err
	}
	if err := s.write(marshalCertificates(s.config.Certificate.Chain)); err != nil {
		return nil, err
	}
	exchange, err := s.newExchange()
	if err != nil {
		return nil, err
	}
	if err := s.write(exchange.message()); err != nil {
		return nil, err
	}
	if s.asksCertificate() {
		request := certificateRequest{types: []byte{ecdsaSign}, authorities: s.authorities()}
		if err := s.write(request.marshal()); err != nil {
			return nil, err
		}
	}
	if err := s.write([]byte{byte(handshake.ServerHelloDone), 0, 0, 0}, nil); err != nil {
		return nil, err
	}
	return exchange, s.conn.Flush()
}

// authorities are the names of the client CAs; none if they are many: a client then shows
// what it has.
func (s *server) authorities() [][]byte {
	if s.config.ClientCAs == nil || s.config.ClientAuth == ClientAuthNone {
		return nil
	}
	const most = 16 << 10
	total := 0
	//lint:ignore SA1019 what it leaves out is the system's, which these are not
	names := s.config.ClientCAs.Subjects()
	for _, name := range names {
		total += 2 + len(name)
	}
	if total > most {
		return nil
	}
	return names
}

// readFlight reads the client's Certificate up to CertificateVerify and computes the
// master secret.
func (s *server) readFlight(exchange serverExchange) error {
	if s.asksCertificate() {
		if err := s.readCertificate(); err != nil {
			return err
		}
	}
	body, err := s.read(handshake.ClientKeyExchange)
	if err != nil {
		return err
	}
	premaster, err := exchange.premaster(body)
	if err != nil {
		return err
	}
	s.master = masterSecret(premaster, s.clientRandom, s.serverRandom)
	clear(premaster)
	if s.peer == nil {
		return nil
	}
	signed := s.transcript.Sum(nil) // all before CertificateVerify
	if body, err = s.read(handshake.CertificateVerify); err != nil {
		return err
	}
	signature, err := parseVector(body, maxSignature, "CertificateVerify")
	if err != nil {
		return err
	}
	if !verify(s.peer.sign, signed, signature) {
		return handshake.Errorf(handshake.DecryptError, "the client's signature is not that of its certificate")
	}
	return nil
}

func (s *server) readCertificate() error {
	body, err := s.read(handshake.Certificate)
	if err != nil {
		return err
	}
	chain, err := parseCertificates(body)
	if err != nil {
		return err
	}
	if len(chain) == 0 {
		if s.config.ClientAuth == ClientAuthRequire || agrees(s.suite) {
			return handshake.Errorf(handshake.HandshakeFailure, "the client has no certificate")
		}
		return nil
	}
	if s.peer, err = parsePeer(chain); err != nil {
		return err
	}
	if agrees(s.suite) && s.peer.encrypt == nil {
		return handshake.Errorf(handshake.BadCertificate, "the client has no encryption certificate")
	}
	if s.config.ClientAuth == ClientAuthNone {
		return nil
	}
	switch {
	case s.config.ClientCAs != nil:
		if err := s.peer.verify(s.config.ClientCAs, "", smx509.ExtKeyUsageClientAuth, now(s.config.Time)); err != nil {
			return err
		}
	case s.config.VerifyPeer == nil:
		return handshake.Errorf(handshake.UnknownCA, "there are no authorities to verify clients by")
	}
	return finalWord(s.config.VerifyPeer, s.peer)
}

// shownChain is the client's chain for result and session. A chain that nobody asked to see
// and nobody verified is not shown.
func (s *server) shownChain() [][]byte {
	if s.config.ClientAuth == ClientAuthNone {
		return nil
	}
	return s.peer.der()
}

func (s *server) store() {
	if len(s.answer.sessionID) == 0 {
		return
	}
	s.config.Sessions.Store(string(s.answer.sessionID), &Session{
		id: s.answer.sessionID, suite: s.suite, master: s.master, serverName: s.hello.serverName,
		context: s.config.Context, chain: s.shownChain(), verified: s.peer != nil && s.peer.verified,
		created: now(s.config.Time),
	})
}

func (s *server) result(client, server *record.Half) (*handshake.Result, error) {
	session, err := record.NewSession(client, server, false)
	if err != nil {
		return nil, err
	}
	r := &handshake.Result{
		Session: session, Version: version, Suite: s.suite,
		ServerName: s.hello.serverName, Protocol: s.answer.protocol, Resumed: s.resumed != nil,
		PeerChain: s.shownChain(), PeerVerified: s.peer != nil && s.peer.verified,
	}
	if agrees(s.suite) && s.resumed == nil {
		r.Group = curveSM2
	}
	return r, nil
}
