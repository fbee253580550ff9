package health

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// Dialer opens the connections of checks; *net.Dialer is one.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// networkError is a failure to get a complete answer, as opposed to a wrong one.
type networkError struct {
	error
	connect bool // there was no connection
}

func (e *networkError) Unwrap() error { return e.error }

// finalError is a failure that needs no others to make the endpoint down.
type finalError struct{ error }

func (e *finalError) Unwrap() error { return e.error }

// session is a connection of checks.
type session struct {
	address   string
	raw, conn net.Conn // conn is raw, or TLS over that
	scheme    string
	one       *client1 // HTTP/1
	two       *client2 // HTTP/2
	late      bool     // the connection's deadline has come
}

// probe makes one check. The error says what is wrong; it never cites what was
// received beyond the status, nor headers that were sent.
func probe(ctx context.Context, dial Dialer, t *Target) error {
	address := t.Address()
	if s := t.kept; s != nil {
		t.kept = nil
		if s.address == address {
			err := s.ask(ctx, t)
			if !errors.As(err, new(*networkError)) || ctx.Err() != nil {
				t.leave(s)
				return err
			}
			// The endpoint may have ended the connection meanwhile: a new one tells.
		}
		s.close()
	}
	s, err := open(ctx, dial, t, address)
	if err != nil {
		return err
	}
	err = s.ask(ctx, t)
	t.leave(s)
	return err
}

// leave keeps the connection for the next check, if it may be, or closes it.
func (t *Target) leave(s *session) {
	if t.Config.Reuse && !s.late && (s.one != nil && s.one.whole || s.two != nil && s.two.rest()) {
		t.kept = s
		return
	}
	s.close()
}

// drop closes the connection that is kept.
func (t *Target) drop() {
	if t.kept != nil {
		t.kept.close()
		t.kept = nil
	}
}

// open connects, and over TLS makes the handshake.
func open(ctx context.Context, dial Dialer, t *Target, address string) (*session, error) {
	raw, err := dial.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, &networkError{fmt.Errorf("connect: %w", cause(err)), true}
	}
	s := &session{address: address, raw: raw, conn: raw, scheme: "http"}
	if t.Secure != nil {
		s.scheme = "https"
		stop := context.AfterFunc(ctx, s.expire)
		s.conn, err = t.Secure(raw, t.Hostname, t.alpn())
		stop()
		if err != nil {
			raw.Close()
			return nil, &networkError{error: fmt.Errorf("TLS: %w", err)}
		}
	}
	switch {
	case t.Config.HTTP != nil && t.http2(), t.Config.GRPC != nil:
		s.two = newClient2(s.conn)
	case t.Config.HTTP != nil:
		s.one = newClient1(s.conn)
	}
	return s, nil
}

func (s *session) expire() { s.raw.SetDeadline(time.Unix(1, 0)) }

// ask makes a check on the connection.
func (s *session) ask(ctx context.Context, t *Target) error {
	stop := context.AfterFunc(ctx, s.expire)
	defer func() { s.late = !stop() }()
	c, host := t.Config, cmp.Or(t.Hostname, s.address)
	switch {
	case c.HTTP != nil && s.two != nil:
		return probeHTTP2(s.two, c.HTTP, s.scheme, cmp.Or(t.Host, c.HTTP.Host, host))
	case c.HTTP != nil:
		return s.one.ask(c.HTTP, cmp.Or(t.Host, c.HTTP.Host, host), c.Reuse)
	case c.GRPC != nil:
		return probeGRPC(s.two, c.GRPC, s.scheme, cmp.Or(t.Host, c.GRPC.Authority, host))
	case c.TCP != nil:
		return probeTCP(s.conn, c.TCP)
	}
	return nil // connecting was the check
}

func (s *session) close() {
	s.conn.Close()
	s.raw.Close()
}
