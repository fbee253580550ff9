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
	w := &wire{Conn: conn, log: &keyLog{copy: options.KeyLog}}
	c := w.serving(config, options)
	if options.Choose != nil {
		c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			chosen, err := options.Choose(hello)
			if err != nil {
				w.judge(err)
				return nil, err
			}
			return w.serving(chosen, options), nil
		}
	}
	t := tls.Server(w, c)
	if err := t.HandshakeContext(context.Background()); err != nil {
		return nil, w.failure(err)
	}
	return w.takeover(t)
}

// serving makes the configuration of one handshake.
func (w *wire) serving(config *tls.Config, options Options) *tls.Config {
	c := prepare(config, w.log)
	w.log.keepInTickets(c, config)
	if options.Tickets != nil {
		w.log.sealTickets(c, options.Tickets, options.Now)
	}
	if options.Ticket != nil {
		w.replaceTickets(c, options.Ticket)
	}
	if options.GetCertificate != nil {
		c.GetCertificate, c.Certificates = options.GetCertificate, nil
	}
	w.judged(c)
	return c
}
