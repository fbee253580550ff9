package tlcp

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/emmansun/gmsm/smx509"

	"longmen/tls/handshake"
	"longmen/tls/record"
)

// Client runs a handshake as the client and leaves the first byte after it unread in conn.
// It blocks only as conn does. The error is an *handshake.Error if either side ended the
// handshake by an alert, else what conn said.
func Client(conn net.Conn, config *ClientConfig) (*handshake.Result, error) {
	c := &client{flow: newFlow(handshake.NewConn(conn, version)), config: config}
	if err := c.prepare(); err != nil {
		return nil, err // nothing was sent, and nothing is
	}
	result, err := c.run()
	if err != nil {
		err = c.conn.Fail(err)
		if c.offered != nil && endsSession(err) {
			config.Sessions.Remove(c.sessionKey())
		}
		return nil, err
	}
	return result, nil
}

type client struct {
	flow
	config    *ClientConfig
	name      string // to be verified; "": none
	hello     *clientHello
	offered   *Session // to be resumed, if the server will
	answer    *serverHello
	peer      *peer
	requested *certificateRequest // nil: the server did not ask for certificates
}

func (c *client) sessionKey() string {
	if c.config.SessionKey != "" {
		return c.config.SessionKey
	}
	return c.config.ServerName
}

// prepare makes the ClientHello.
func (c *client) prepare() (err error) {
	config := c.config
	c.name = config.VerifyName
	if c.name == "" {
		c.name = config.ServerName
	}
	if c.name == "" && !config.Insecure {
		return errNoName
	}
	c.hello = &clientHello{version: version, suites: usable(config.Suites, config.Certificate), compressions: []byte{0}, protocols: config.Protocols}
	if len(c.hello.suites) == 0 {
		return errNoSuite
	}
	if slices.ContainsFunc(c.hello.suites, agrees) {
		c.hello.groups = []uint16{curveSM2}
	}
	if _, err := netip.ParseAddr(config.ServerName); err != nil {
		c.hello.serverName = strings.ToLower(strings.TrimSuffix(config.ServerName, "."))
	}
	if c.hello.random, err = random(config.Rand, randomLen); err != nil {
		return err
	}
	c.clientRandom = c.hello.random
	if config.Sessions == nil {
		return nil
	}
	session := config.Sessions.Load(c.sessionKey(), now(config.Time))
	if session != nil && session.fits(c.hello, c.name, c.hello.suites) && (session.verified || config.Insecure) {
		c.offered, c.hello.sessionID = session, session.id
	}
	return nil
}

func (c *client) run() (*handshake.Result, error) {
	if err := c.write(c.hello.marshal()); err != nil {
		return nil, err
	}
	if err := c.conn.Flush(); err != nil {
		return nil, err
	}
	if err := c.readHello(); err != nil {
		return nil, err
	}
	if c.offered != nil && string(c.answer.sessionID) == string(c.offered.id) {
		return c.resume()
	}
	return c.full()
}

func (c *client) readHello() error {
	body, err := c.read(handshake.ServerHello)
	if err != nil {
		return err
	}
	if c.answer, err = parseServerHello(body); err != nil {
		return err
	}
	switch {
	case c.answer.version != version:
		return handshake.Errorf(handshake.ProtocolVersion, "a ServerHello of version %#04x", c.answer.version)
	case !slices.Contains(c.hello.suites, c.answer.suite):
		return handshake.Errorf(handshake.IllegalParameter, "the server chose cipher suite %#04x, which was not offered", c.answer.suite)
	case c.answer.compression != 0:
		return handshake.Errorf(handshake.IllegalParameter, "the server chose a compression")
	case c.answer.protocol != "" && !slices.Contains(c.hello.protocols, c.answer.protocol):
		return handshake.Errorf(handshake.IllegalParameter, "the server chose an application protocol that was not offered")
	}
	c.suite, c.serverRandom = c.answer.suite, c.answer.random
	return nil
}

// resume takes up the session that was offered.
func (c *client) resume() (*handshake.Result, error) {
	if c.offered.suite != c.suite {
		return nil, handshake.Errorf(handshake.IllegalParameter, "the server resumed a session with another cipher suite")
	}
	c.master = c.offered.master
	p, err := parsePeer(c.offered.chain)
	if err != nil {
		return nil, err
	}
	p.verified = c.offered.verified
	c.peer = p
	if err := finalWord(c.config.VerifyPeer, p); err != nil {
		return nil, err
	}
	client, server, err := c.halves()
	if err != nil {
		return nil, err
	}
	if err := c.logKeys(c.config.KeyLog); err != nil {
		return nil, err
	}
	if err := c.readFinished(serverFinished, server); err != nil {
		return nil, err
	}
	if err := c.writeFinished(clientFinished, client); err != nil {
		return nil, err
	}
	if err := c.conn.Flush(); err != nil {
		return nil, err
	}
	return c.result(client, server, true)
}

// full runs a full handshake.
func (c *client) full() (*handshake.Result, error) {
	exchange, err := c.readFlight()
	if err != nil {
		return nil, err
	}
	if err := c.writeFlight(exchange); err != nil {
		return nil, err
	}
	client, server, err := c.halves()
	if err != nil {
		return nil, err
	}
	if err := c.logKeys(c.config.KeyLog); err != nil {
		return nil, err
	}
	if err := c.writeFinished(clientFinished, client); err != nil {
		return nil, err
	}
	if err := c.conn.Flush(); err != nil {
		return nil, err
	}
	if err := c.readFinished(serverFinished, server); err != nil {
		return nil, err
	}
	c.store()
	return c.result(client, server, false)
}

// readFlight reads the server's Certificate up to ServerHelloDone.
func (c *client) readFlight() (clientExchange, error) {
	if err := c.readCertificate(); err != nil {
		return nil, err
	}
	body, err := c.read(handshake.ServerKeyExchange)
	if err != nil {
		return nil, err
	}
	exchange, err := c.newExchange(body)
	if err != nil {
		return nil, err
	}
	m, err := c.conn.Read()
	if err != nil {
		return nil, err
	}
	if m.Type() == handshake.CertificateRequest {
		c.transcript.Write(m)
		if c.requested, err = parseCertificateRequest(m.Body()); err != nil {
			return nil, err
		}
		if m, err = c.conn.Read(); err != nil {
			return nil, err
		}
	}
	if m.Type() != handshake.ServerHelloDone {
		return nil, handshake.Unexpected(m, handshake.ServerHelloDone)
	}
	if len(m.Body()) != 0 {
		return nil, decodeError("ServerHelloDone")
	}
	c.transcript.Write(m)
	return exchange, c.conn.End()
}

func (c *client) readCertificate() error {
	body, err := c.read(handshake.Certificate)
	if err != nil {
		return err
	}
	chain, err := parseCertificates(body)
	if err != nil {
		return err
	}
	if len(chain) < 2 {
		return handshake.Errorf(handshake.BadCertificate, "the server has not shown two certificates")
	}
	if c.peer, err = parsePeer(chain); err != nil {
		return err
	}
	if c.peer.encrypt == nil {
		return handshake.Errorf(handshake.BadCertificate, "the server has no encryption certificate")
	}
	if !c.config.Insecure {
		if err := c.peer.verify(c.config.Roots, c.name, smx509.ExtKeyUsageServerAuth, now(c.config.Time)); err != nil {
			return err
		}
	}
	return finalWord(c.config.VerifyPeer, c.peer)
}

// writeFlight adds the client's Certificate up to CertificateVerify to the flight and
// computes the master secret.
func (c *client) writeFlight(exchange clientExchange) error {
	own := c.ownCertificate()
	if c.requested != nil {
		if err := c.write(marshalCertificates(own.chain())); err != nil {
			return err
		}
	}
	premaster, m, err := exchange.premaster()
	if err != nil {
		return err
	}
	c.master = masterSecret(premaster, c.clientRandom, c.serverRandom)
	clear(premaster)
	if err := c.write(m, nil); err != nil {
		return err
	}
	if own == nil {
		return nil
	}
	signature, err := own.sign(source(c.config.Rand), c.transcript.Sum(nil))
	if err != nil {
		return err
	}
	return c.write(marshalVector(handshake.CertificateVerify, signature))
}

// ownCertificate is what the client shows: its certificate, if it is asked for one and has
// one. Whether the server will trust it is the server's to say.
func (c *client) ownCertificate() *Certificate {
	own := c.config.Certificate
	if c.requested == nil || own == nil || len(own.Chain) == 0 || own.Sign == nil {
		return nil
	}
	return own
}

func (c *Certificate) chain() [][]byte {
	if c == nil {
		return nil
	}
	return c.Chain
}

func (c *client) store() {
	if c.config.Sessions == nil || len(c.answer.sessionID) == 0 {
		return
	}
	c.config.Sessions.Store(c.sessionKey(), &Session{
		id: c.answer.sessionID, suite: c.suite, master: c.master, serverName: c.hello.serverName,
		context: c.name, chain: c.peer.der(), verified: c.peer.verified, created: now(c.config.Time),
	})
}

func (c *client) result(client, server *record.Half, resumed bool) (*handshake.Result, error) {
	session, err := record.NewSession(server, client, true)
	if err != nil {
		return nil, err
	}
	r := &handshake.Result{
		Session: session, Version: version, Suite: c.suite,
		ServerName: c.hello.serverName, Protocol: c.answer.protocol, Resumed: resumed,
		PeerChain: c.peer.der(), PeerVerified: c.peer.verified,
	}
	if agrees(c.suite) && !resumed {
		r.Group = curveSM2
	}
	return r, nil
}
