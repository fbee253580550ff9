package handshake

// MessageType is the first byte of a handshake message.
type MessageType uint8

// The handshake messages of TLS 1.3 and of TLCP (RFC 8446 §4, GB/T 38636 §6.4.5.1).
const (
	HelloRequest        MessageType = 0
	ClientHello         MessageType = 1
	ServerHello         MessageType = 2
	NewSessionTicket    MessageType = 4
	EndOfEarlyData      MessageType = 5
	EncryptedExtensions MessageType = 8
	Certificate         MessageType = 11
	ServerKeyExchange   MessageType = 12
	CertificateRequest  MessageType = 13
	ServerHelloDone     MessageType = 14
	CertificateVerify   MessageType = 15
	ClientKeyExchange   MessageType = 16
	Finished            MessageType = 20
	KeyUpdate           MessageType = 24
	MessageHash         MessageType = 254
)

// messageHeader is the type and the 24-bit length before each message.
const messageHeader = 4

// Message is one whole handshake message. Who reads it may keep it.
type Message []byte

// Type is the message's type.
func (m Message) Type() MessageType { return MessageType(m[0]) }

// Body is the message without its type and length.
func (m Message) Body() []byte { return m[messageHeader:] }
