package tls13

import (
	"io"
	"net"
	"slices"
	"time"

	"longmen/tls/handshake"
	"longmen/tls/record"
)

// Client runs the client's side of a handshake on conn. It blocks as conn does: the time it
// may take is for conn's deadlines to bound. It reads nothing beyond the handshake. An error
// is a *handshake.Error, or conn's own; the peer was told, conn is not closed. The result's
// Session keeps the server's tickets in config.Sessions.
func Client(conn net.Conn, config *ClientConfig) (*handshake.Result, error) {
	return dial(conn, config, shangMi())
}

func dial(conn net.Conn, config *ClientConfig, p *profile) (*handshake.Result, error) {
	c := &client{
		conn:       handshake.NewConn(conn, handshake.VersionTLS13),
		config:     config,
		profile:    p,
		transcript: newTranscript(p.newHash),
		random:     source(config.Rand),
		now:        clock(config.Time),
	}
	if err := c.run(); err != nil {
		return nil, c.conn.Fail(err)
	}
	result := c.result // a copy: what else the handshake held is dropped
	return &result, nil
}

// A client is one handshake of a client under way.
type client struct {
	conn       *handshake.Conn
	config     *ClientConfig
	profile    *profile
	transcript *transcript
	random     io.Reader
	now        time.Time // of the beginning

	hello    *clientHello
	share    share
	offered  *clientSession // whose ticket is in the hello; nil for none
	server   *serverHello
	resumed  bool // the server took up offered
	secrets  *keySchedule
	clientHS []byte // the client's handshake traffic secret
	serverHS []byte
	request  *certificateRequest // nil if the server did not ask for a certificate

	read, write *record.Half // of the application data
	result      handshake.Result
}

// run is the handshake (RFC 8446 §2 and, for the client's states, A.1).
func (c *client) run() error {
	for _, step := range []func() error{
		c.prepareHello,
		c.sendHello,
		c.receiveServerHello, // sends a second hello if it is asked to; goes on to the handshake keys
		c.receiveEncryptedExtensions,
		c.receiveCertificate, // with a request before and the proof behind it; in a full handshake only
		c.receiveFinished,    // and goes on to read with the application keys
		c.sendCertificate,    // the next two if it was asked for
		c.sendCertificateVerify,
		c.sendFinished,
		c.conclude,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// send adds a message to the flight and to the transcript.
func (c *client) send(message []byte, err error) error {
	if err != nil {
		return err
	}
	c.transcript.add(message)
	c.conn.Write(message)
	return nil
}

func (c *client) receiveEncryptedExtensions() error {
	message, err := c.conn.Expect(handshake.EncryptedExtensions)
	if err != nil {
		return err
	}
	answer, err := parseEncryptedExtensions(message, c.hello)
	if err != nil {
		return err
	}
	if answer.protocol != "" && !slices.Contains(c.hello.protocols, answer.protocol) {
		return illegal("the server chose an ALPN protocol that was not offered")
	}
	c.result.Protocol = answer.protocol
	c.transcript.add(message)
	return nil
}

func (c *client) receiveFinished() error {
	message, err := c.conn.Expect(handshake.Finished)
	if err != nil {
		return err
	}
	if err := checkFinished(c.profile, message, c.serverHS, c.transcript.sum()); err != nil {
		return err
	}
	c.transcript.add(message)
	return c.toApplicationKeys()
}

// toApplicationKeys derives the keys of the application data, which cover the messages up to
// the server's Finished, and takes up the one to read with.
func (c *client) toApplicationKeys() error {
	c.secrets.toMaster()
	sum := c.transcript.sum()
	clientAP := c.secrets.derive(clientApplicationTraffic, sum)
	serverAP := c.secrets.derive(serverApplicationTraffic, sum)
	if err := logTraffic(c.config.KeyLog, c.hello.random, logClientApplication, clientAP, logServerApplication, serverAP); err != nil {
		return err
	}
	var err error
	if c.read, err = c.profile.half(serverAP); err != nil {
		return err
	}
	if c.write, err = c.profile.half(clientAP); err != nil {
		return err
	}
	return c.conn.SetRead(c.read)
}

func (c *client) sendFinished() error {
	if err := c.send(newFinished(finishedMAC(c.profile.newHash, c.clientHS, c.transcript.sum()))); err != nil {
		return err
	}
	return c.conn.Flush()
}

// conclude fills in the result.
func (c *client) conclude() error {
	session, err := record.NewSession(c.read, c.write, true)
	if err != nil {
		return err
	}
	c.keepTickets(session)
	c.result.Session = session
	c.result.Version = handshake.VersionTLS13
	c.result.Suite = c.profile.suite
	c.result.Group = c.profile.group
	c.result.ServerName = c.hello.serverName
	c.result.Resumed = c.resumed
	return nil
}
