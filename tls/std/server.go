package std

import (
	"context"
	"crypto/tls"
	"net"

	"longmen/tls/handshake"
)

// Server runs a server's handshake over conn, whose next byte is the ClientHello's first, and
// returns when it is complete. It reads not one byte beyond it, with reads as small as a record's
// header: conn should have a buffer. Deadlines are conn's own; conn is not closed. It is for
// connections of which Check said that config suits.
//
// config may be shared by handshakes; of it only the ticket keys that crypto/tls makes itself
// are changed.
//
// The error is a *handshake.Error, or that of conn.
func Server(conn net.Conn, config *tls.Config, options Options) (*handshake.Result, error) {
	log := &keyLog{copy: options.KeyLog}
	c := prepare(config, log)
	log.keepInTickets(c, config)
	if options.GetCertificate != nil {
		c.GetCertificate, c.Certificates = options.GetCertificate, nil
	}
	w := &wire{Conn: conn, log: log}
	w.judged(c)
	t := tls.Server(w, c)
	if err := t.HandshakeContext(context.Background()); err != nil {
		return nil, w.failure(err)
	}
	return w.takeover(t)
}
