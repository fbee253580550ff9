package record

import "fmt"

// AlertError is why a connection is over: a fault of the peer's that Alert names, or an alert
// that the peer sent.
type AlertError struct {
	Alert    uint8  // its description (RFC 8446 §6)
	Received bool   // the peer sent it; else it is for the peer
	Reason   string // what was wrong; "" if Received
}

// Error says what was wrong and which alert goes with it.
func (e *AlertError) Error() string {
	if e.Received {
		return fmt.Sprintf("tls: the peer sent alert %d", e.Alert)
	}
	return fmt.Sprintf("tls: %s (alert %d)", e.Reason, e.Alert)
}

var (
	errVersion       = &AlertError{Alert: alertProtocolVersion, Reason: "a record of another protocol version"}
	errLength        = &AlertError{Alert: alertRecordOverflow, Reason: "a record longer than the protocol allows"}
	errBadRecordMAC  = &AlertError{Alert: alertBadRecordMAC, Reason: "a record that is not authentic"}
	errOuterType     = &AlertError{Alert: alertUnexpectedMessage, Reason: "an unprotected record"}
	errNoInnerType   = &AlertError{Alert: alertUnexpectedMessage, Reason: "a record of nothing but padding"}
	errType          = &AlertError{Alert: alertUnexpectedMessage, Reason: "a record of an unexpected type"}
	errExhausted     = &AlertError{Alert: alertInternalError, Reason: "the last sequence number was used"}
	errEmpty         = &AlertError{Alert: alertUnexpectedMessage, Reason: "an empty record that may not be"}
	errAlertForm     = &AlertError{Alert: alertDecodeError, Reason: "a malformed alert"}
	errAlertLevel    = &AlertError{Alert: alertIllegalParameter, Reason: "an alert of an unknown level"}
	errUseless       = &AlertError{Alert: alertUnexpectedMessage, Reason: "too many records without data"}
	errKeyUpdates    = &AlertError{Alert: alertUnexpectedMessage, Reason: "too many key updates"}
	errInterleaved   = &AlertError{Alert: alertUnexpectedMessage, Reason: "a record amid the parts of a handshake message"}
	errMessage       = &AlertError{Alert: alertUnexpectedMessage, Reason: "an unexpected handshake message"}
	errMessageLength = &AlertError{Alert: alertDecodeError, Reason: "a handshake message of a wrong length"}
	errUpdateForm    = &AlertError{Alert: alertIllegalParameter, Reason: "a malformed key update"}
	errEarlyData     = &AlertError{Alert: alertUnexpectedMessage, Reason: "more early data than was allowed"}
	errFinished      = &AlertError{Alert: alertDecryptError, Reason: "a Finished that is not right"}
	errUpdateEnd     = &AlertError{Alert: alertUnexpectedMessage, Reason: "a key update that does not end its record"}
)
