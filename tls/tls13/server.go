package tls13

import (
	"errors"
	"io"
	"net"
	"time"

	"longmen/tls/handshake"
	"longmen/tls/record"
)

// Server runs the server's side of a handshake on conn, whose first byte is that of the
// ClientHello's record; see Offered for which hellos to call it for. It blocks as conn does:
// the time it may take is for conn's deadlines to bound. It reads nothing beyond the
// handshake. An error is a *handshake.Error, or conn's own; the peer was told, conn is not
// closed.
func Server(conn net.Conn, config *ServerConfig) (*handshake.Result, error) {
	return serve(conn, config, func(*clientHello) (*profile, error) { return shangMi(), nil })
}

func serve(conn net.Conn, config *ServerConfig, choose func(*clientHello) (*profile, error)) (*handshake.Result, error) {
	s := &server{
		conn:   handshake.NewConn(conn, handshake.VersionTLS13),
		config: config,
		choose: choose,
		random: source(config.Rand),
		now:    clock(config.Time),
	}
	if err := s.run(); err != nil {
		return nil, s.conn.Fail(err)
	}
	result := s.result // a copy: what else the handshake held is dropped
	return &result, nil
}

var errNoCertificate = errors.New("a server needs a certificate")

// A server is one handshake of a server under way.
type server struct {
	conn       *handshake.Conn
	config     *ServerConfig
	choose     func(*clientHello) (*profile, error) // the profile for a client
	profile    *profile
	transcript *transcript
	random     io.Reader
	now        time.Time // of the beginning

	hello    *clientHello
	resumed  *session // nil in a full handshake
	psk      int      // the place of its ticket in the hello; -1 in a full handshake
	early    bool     // its early data was accepted
	secrets  *keySchedule
	clientEA []byte // the client's early traffic secret, if early
	clientHS []byte // its handshake traffic secret
	serverHS []byte

	read, write *record.Half // of the application data
	finished    []byte       // the client's Finished as it has to be, if early
	result      handshake.Result
}

// run is the handshake (RFC 8446 §2 and, for the server's states, A.2).
func (s *server) run() error {
	if s.config.Certificate == nil {
		return errNoCertificate
	}
	for _, step := range []func() error{
		s.receiveHello, // asks to retry if it has no share
		s.chooseProtocol,
		s.chooseSession,
		s.chooseEarlyData,
		s.sendServerHello, // and goes on to the handshake keys
		s.sendEncryptedExtensions,
		s.sendCertificateRequest, // the next three in a full handshake only
		s.sendCertificate,
		s.sendCertificateVerify,
		s.sendFinished, // and goes on to write with the application keys
		s.receiveCertificate,
		s.receiveFinished, // and goes on to read with the application keys
		s.sendTicket,
		s.conclude,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) full() bool { return s.resumed == nil }

// send adds a message to the flight and to the transcript.
func (s *server) send(message []byte, err error) error {
	if err != nil {
		return err
	}
	s.transcript.add(message)
	s.conn.Write(message)
	return nil
}

func (s *server) sendEncryptedExtensions() error {
	answer := &encryptedExtensions{protocol: s.result.Protocol, names: s.hello.serverName != "", earlyData: s.early}
	return s.send(answer.marshal())
}

func (s *server) sendCertificate() error {
	if !s.full() {
		return nil
	}
	own := &certificateMessage{chain: s.config.Certificate.Certificate}
	if s.hello.staple {
		own.staple = s.config.Certificate.OCSPStaple
	}
	return s.send(own.marshal())
}

func (s *server) sendCertificateVerify() error {
	if !s.full() {
		return nil
	}
	return s.send(prove(s.profile, s.random, s.config.Certificate, serverSignature, s.transcript.sum()))
}

func (s *server) sendFinished() error {
	if err := s.send(newFinished(finishedMAC(s.profile.newHash, s.serverHS, s.transcript.sum()))); err != nil {
		return err
	}
	if err := s.conn.Flush(); err != nil {
		return err
	}
	return s.toApplicationKeys()
}

// toApplicationKeys derives the keys of the application data, which cover the messages up to
// the server's Finished, and takes up the one to write with.
func (s *server) toApplicationKeys() error {
	s.secrets.toMaster()
	sum := s.transcript.sum()
	clientAP := s.secrets.derive(clientApplicationTraffic, sum)
	serverAP := s.secrets.derive(serverApplicationTraffic, sum)
	if err := logTraffic(s.config.KeyLog, s.hello.random, logClientApplication, clientAP, logServerApplication, serverAP); err != nil {
		return err
	}
	var err error
	if s.read, err = s.profile.half(clientAP); err != nil {
		return err
	}
	if s.write, err = s.profile.half(serverAP); err != nil {
		return err
	}
	s.conn.SetWrite(s.write)
	return nil
}

func (s *server) receiveFinished() error {
	if s.early {
		return s.foresee() // it comes behind the early data, which the session reads
	}
	message, err := s.conn.Expect(handshake.Finished)
	if err != nil {
		return err
	}
	if err := checkFinished(s.profile, message, s.clientHS, s.transcript.sum()); err != nil {
		return err
	}
	s.transcript.add(message)
	return s.conn.SetRead(s.read)
}

// conclude fills in the result.
func (s *server) conclude() error {
	session, err := s.session()
	if err != nil {
		return err
	}
	s.result.Session = session
	s.result.Version = handshake.VersionTLS13
	s.result.Suite = s.profile.suite
	s.result.Group = s.profile.group
	s.result.ServerName = s.hello.serverName
	s.result.Resumed = !s.full()
	return nil
}
