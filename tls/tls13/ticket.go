package tls13

import (
	"crypto/tls"
	"errors"
	"slices"
	"strings"

	"longmen/tls/handshake"
)

// A Resumption is a session that another implementation's handshake ended in.
type Resumption struct {
	Suite      uint16
	PSK        []byte // of the ticket with an empty nonce (RFC 8446 §4.6.1)
	ServerName string // as the client wrote it; "" if it did not
	Protocol   string // ALPN; "" if there was none
}

var errPSK = errors.New("a PSK is as long as the suite's hash")

// NewTicket makes a NewSessionTicket message, its header included, with which a client comes back
// to ServerStandard and sends early data; and the ticket in it. Both are nil if config takes no
// early data with that protocol.
func NewTicket(config *ServerConfig, r Resumption) (message, ticket []byte, err error) {
	size := 32
	if r.Suite == tls.TLS_AES_256_GCM_SHA384 {
		size = 48
	}
	if len(r.PSK) != size {
		return nil, nil, errPSK
	}
	e := config.EarlyData
	if e == nil || e.Most == 0 || config.Tickets == nil || !slices.Contains(e.Protocols, r.Protocol) {
		return nil, nil, nil
	}
	now := clock(config.Time)
	next := &session{suite: r.Suite, created: now, authenticated: now, psk: r.PSK, serverName: strings.ToLower(r.ServerName)}
	made, err := config.seal(next, r.Protocol, nil, config.ticketLifetime())
	if err != nil || made == nil {
		return nil, nil, err
	}
	message, err = made.marshal()
	return message, made.ticket, err
}

// Returning reports whether a client has early data to send, or a ticket that config gave out: no
// other implementation knows what to do with it. hello is as in Offered.
func Returning(config *ServerConfig, hello []byte) bool {
	h, err := parseClientHello(hello)
	if err != nil || !slices.Contains(h.versions, handshake.VersionTLS13) {
		return false
	}
	if h.earlyData {
		return true
	}
	if config.Tickets == nil {
		return false
	}
	for _, offered := range h.psks[:min(len(h.psks), maxPSKs)] {
		if _, _, err := config.Tickets.Open(offered.identity, clock(config.Time)); err == nil {
			return true
		}
	}
	return false
}
