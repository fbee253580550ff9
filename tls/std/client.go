package std

import (
	"context"
	"crypto/tls"
	"net"

	"longmen/tls/handshake"
	"longmen/tls/record"
)

// Client runs a client's handshake over conn and returns when it is complete, like Server. The
// server's certificate is verified for config.ServerName unless config says otherwise.
//
// config may be shared by handshakes and is not changed. Its ClientSessionCache, if it has one, is
// to be used by this package alone; sessions in it are found by ServerName, or by conn's remote
// address if that is empty, so a cache must not be shared by configurations that trust
// different authorities or show different certificates.
//
// In TLS 1.3 sessions come after the handshake. As long as they may, crypto/tls's connection is
// kept for them; the session's first application data ends that.
func Client(conn net.Conn, config *tls.Config, options Options) (*handshake.Result, error) {
	log := &keyLog{copy: options.KeyLog}
	c := prepare(config, log)
	if c.ClientSessionCache != nil {
		c.ClientSessionCache = sessionCache{c.ClientSessionCache, log}
	}
	w := &wire{Conn: conn, log: log, client: true}
	w.judged(c)
	t := tls.Client(w, c)
	if err := t.HandshakeContext(context.Background()); err != nil {
		return nil, w.failure(err)
	}
	result, err := w.takeover(t)
	if err != nil {
		return nil, err
	}
	if c.ClientSessionCache != nil && !c.SessionTicketsDisabled && result.Version == tls.VersionTLS13 {
		receiver := &ticketReceiver{conn: t, wire: w, suite: result.Suite, secret: log.server}
		result.Session.OnTicket(receiver.take)
		w.Conn = nil // the name says where the session belongs
		if c.ServerName == "" {
			w.Conn = former{remote: conn.RemoteAddr()}
		}
		*log = keyLog{}
	}
	return result, nil
}

// A former connection is what is left of conn: its address, which can be the key of a session.
type former struct {
	net.Conn // nil: a detached wire does not use it
	remote   net.Addr
}

func (f former) RemoteAddr() net.Addr { return f.remote }

// A ticketReceiver has crypto/tls put the sessions of a TLS 1.3 server into the client's cache.
// The records that they came in were opened by our own session, so it makes new ones: to
// crypto/tls, which sees no others, they are the first of the connection.
type ticketReceiver struct {
	conn   *tls.Conn
	wire   *wire
	suite  uint16
	secret []byte       // the server's application traffic
	half   *record.Half // what the server would seal with; nil before the first ticket
}

// take gives one NewSessionTicket to crypto/tls. A ticket that it does not like is no loss but
// of a resumption.
func (r *ticketReceiver) take(message []byte) {
	if r.half == nil {
		half, err := record.NewTLS13(r.suite, r.secret)
		if err != nil {
			return
		}
		r.half, r.secret = half, nil
	}
	for len(message) > 0 {
		n := min(len(message), record.MaxPayload)
		r.wire.feed = r.half.Seal(r.wire.feed, record.TypeHandshake, message[:n])
		message = message[n:]
	}
	var none [1]byte
	r.conn.Read(none[:]) // takes the ticket and fails: there is no more to read
	r.wire.feed = nil
}
