// Package handshake is what the handshakes of TLS and TLCP share: the result that each
// ends in, its errors and alerts, and Conn, which carries handshake messages over records.
package handshake

import (
	"errors"
	"fmt"
	"strings"
)

// Error says why a handshake ended. It never holds a secret, and what it quotes of the peer
// is bounded.
type Error struct {
	Alert    Alert // sent to the peer, or received from it
	Received bool  // the peer sent the alert: the fault, if any, is named by the peer
	Sent     bool  // the alert was written; false if writing failed or nobody was left to read it
	Cause    error // what was wrong; nil for a received alert
}

// Error names the cause and the alert.
func (e *Error) Error() string {
	switch {
	case e.Received:
		return fmt.Sprintf("the peer sent the alert %s", e.Alert)
	case e.Cause == nil:
		return e.Alert.String()
	}
	return fmt.Sprintf("%s: %s", e.Alert, clip(e.Cause.Error()))
}

// clip bounds a text that may quote a peer's certificates: they have room for many names.
func clip(text string) string {
	const most = 400
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Errorf is an Error that is to be told to the peer by alert a. Its cause is that of
// fmt.Errorf.
func Errorf(a Alert, format string, args ...any) error {
	return &Error{Alert: a, Cause: fmt.Errorf(format, args...)}
}

// AlertOf is the alert that err calls for: its own if it is an Error, else InternalError.
func AlertOf(err error) Alert {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Alert
	}
	return InternalError
}
