// Package record protects the records of TLS 1.3 (RFC 8446 §5), TLS 1.2 (RFC 5246 §6) and
// TLCP (GB/T 38636 §6.3) once a handshake has made their keys. A Half is one direction; a
// Session is both, with all that the protocols know after a handshake: key updates, alerts,
// close_notify. Nothing here reads or writes a socket, starts a goroutine, or keeps a buffer.
package record

// Record types as on the wire.
const (
	TypeChangeCipherSpec = 20
	TypeAlert            = 21
	TypeHandshake        = 22
	TypeApplicationData  = 23
)

const (
	// HeaderSize is the size of a record's header: type, version, length.
	HeaderSize = 5
	// MaxPayload is the most that one record carries (RFC 8446 §5.1).
	MaxPayload = 1 << 14
	// MaxSize is the size of the largest record that is accepted, its header included.
	MaxSize = HeaderSize + maxCiphertext

	maxCiphertext   = MaxPayload + 2048 // RFC 5246 §6.2.3
	maxCiphertext13 = MaxPayload + 256  // RFC 8446 §5.2
)

// Alerts that this package sends or looks at. Names and the rest of them are in tls/handshake.
const (
	alertCloseNotify       = 0
	alertUnexpectedMessage = 10
	alertBadRecordMAC      = 20
	alertRecordOverflow    = 22
	alertIllegalParameter  = 47
	alertDecodeError       = 50
	alertDecryptError      = 51
	alertProtocolVersion   = 70
	alertInternalError     = 80
	alertUserCanceled      = 90
	alertNoRenegotiation   = 100
)

const (
	levelWarning = 1
	levelFatal   = 2
)
