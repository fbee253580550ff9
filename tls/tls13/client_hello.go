package tls13

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"

	"longmen/tls/handshake"
)

var errNoName = errors.New("a client needs the server's name, or to be told to verify nothing")

// prepareHello makes the first ClientHello, with a ticket if there is one.
func (c *client) prepareHello() error {
	if c.config.verifyName() == "" && !c.config.Insecure {
		return errNoName
	}
	own, err := c.profile.newShare(c.random)
	if err != nil {
		return err
	}
	c.share = own
	random, err := randomBytes(c.random, 64)
	if err != nil {
		return err
	}
	c.hello = &clientHello{
		random:     random[:32],
		sessionID:  random[32:], // that of no session: it makes middleboxes see TLS 1.2 (RFC 8446 §D.4)
		suites:     []uint16{c.profile.suite},
		serverName: hostName(c.config.ServerName),
		versions:   []uint16{handshake.VersionTLS13},
		groups:     []uint16{c.profile.group},
		schemes:    []uint16{c.profile.scheme},
		staple:     true,
	}
	if len(c.config.Protocols) > 0 { // an empty list may not be sent
		c.hello.protocols = c.config.Protocols
	}
	if !c.config.holdShare {
		c.hello.shares = []keyShare{{c.profile.group, own.public()}}
	}
	c.offerSession()
	return nil
}

// hostName is the name to send as server_name, which holds no addresses (RFC 6066 §3).
func hostName(name string) string {
	if _, err := netip.ParseAddr(name); err == nil {
		return ""
	}
	return strings.ToLower(strings.TrimSuffix(name, "."))
}

// sendHello sends the hello, the first or the second, with a binder for what has been said so
// far.
func (c *client) sendHello() error {
	message, err := c.hello.marshal()
	if err != nil {
		return err
	}
	if c.offered != nil {
		c.bind()
	}
	if err := c.send(message, nil); err != nil {
		return err
	}
	if err := c.conn.Flush(); err != nil {
		return err
	}
	c.conn.IgnoreChangeCipherSpec()
	return nil
}

// receiveServerHello takes the ServerHello, after a second hello if it is a retry, and goes on
// to the handshake's keys.
func (c *client) receiveServerHello() error {
	answer, message, err := c.readServerHello()
	if err != nil {
		return err
	}
	if answer.retry {
		if err := c.retry(answer, message); err != nil {
			return err
		}
		if answer, message, err = c.readServerHello(); err != nil {
			return err
		}
		if answer.retry {
			return handshake.Errorf(handshake.UnexpectedMessage, "a second HelloRetryRequest")
		}
	} else {
		c.conn.WriteChangeCipherSpec() // goes with the next flight, or with an alert
	}
	c.server = answer
	c.transcript.add(message)
	return c.toHandshakeKeys()
}

// readServerHello reads a ServerHello or a HelloRetryRequest and checks what holds for both.
func (c *client) readServerHello() (*serverHello, []byte, error) {
	message, err := c.conn.Expect(handshake.ServerHello)
	if err != nil {
		return nil, nil, err
	}
	message = bytes.Clone(message) // it is looked at until the handshake ends
	answer, err := parseServerHello(message)
	switch {
	case err != nil:
		return nil, nil, err
	case answer.version == 0 && answer.downgraded():
		return nil, nil, illegal("the server was kept from TLS 1.3 by somebody on the way")
	case answer.version == 0:
		return nil, nil, handshake.Errorf(handshake.ProtocolVersion, "the server does not speak TLS 1.3")
	case answer.version != handshake.VersionTLS13:
		return nil, nil, illegal("the server chose a version that was not offered")
	case answer.suite != c.profile.suite:
		return nil, nil, illegal("the server chose a suite that was not offered")
	case !bytes.Equal(answer.sessionID, c.hello.sessionID):
		return nil, nil, illegal("the server echoed another session id")
	}
	return answer, message, nil
}

// retry does what a HelloRetryRequest asks for: another share, a cookie (RFC 8446 §4.1.4).
func (c *client) retry(request *serverHello, message []byte) error {
	if request.group == 0 && request.cookie == nil {
		return illegal("a HelloRetryRequest that changes nothing")
	}
	if request.group != 0 {
		if request.group != c.profile.group || c.hello.shares != nil {
			return illegal("a HelloRetryRequest for a group that was not offered, or with a share already")
		}
		c.hello.shares = []keyShare{{c.profile.group, c.share.public()}}
	}
	c.hello.cookie = bytes.Clone(request.cookie)
	c.transcript.retry(message)
	c.conn.WriteChangeCipherSpec()
	return c.sendHello()
}

// toHandshakeKeys takes up the keys that protect the rest of the handshake.
func (c *client) toHandshakeKeys() error {
	switch {
	case c.server.psk >= 0 && c.offered == nil:
		return handshake.Errorf(handshake.UnsupportedExtension, "the server took up a session, and none was offered")
	case c.server.psk > 0:
		return illegal("the server took up a session that was not offered")
	case c.server.group == 0:
		return handshake.Errorf(handshake.MissingExtension, "ServerHello has no key_share")
	case c.server.group != c.profile.group || c.hello.shares == nil:
		return illegal("the server chose a group that there was no share for")
	}
	c.resumed = c.server.psk == 0
	var psk []byte
	if c.resumed {
		psk = c.offered.psk
		c.result.PeerChain, c.result.PeerVerified = c.offered.chain, c.offered.verified
	}
	shared, err := c.share.shared(c.server.share)
	if err != nil {
		return handshake.Errorf(handshake.IllegalParameter, "the server's key share: %w", err)
	}
	c.secrets = newKeySchedule(c.profile.newHash, psk)
	c.secrets.toHandshake(shared)
	sum := c.transcript.sum()
	c.clientHS = c.secrets.derive(clientHandshakeTraffic, sum)
	c.serverHS = c.secrets.derive(serverHandshakeTraffic, sum)
	if err := logTraffic(c.config.KeyLog, c.hello.random, logClientHandshake, c.clientHS, logServerHandshake, c.serverHS); err != nil {
		return err
	}
	read, err := c.profile.half(c.serverHS)
	if err != nil {
		return err
	}
	write, err := c.profile.half(c.clientHS)
	if err != nil {
		return err
	}
	c.conn.SetWrite(write)
	return c.conn.SetRead(read)
}
