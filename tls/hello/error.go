package hello

// The alerts of RFC 8446, 6 that a ClientHello can earn; TLCP has the same numbers.
const (
	alertUnexpectedMessage = 10
	alertRecordOverflow    = 22
	alertIllegalParameter  = 47
	alertDecodeError       = 50
	alertProtocolVersion   = 70
	alertMissingExtension  = 109
)

// Error is why a ClientHello was refused, and the fatal alert that tells the client.
type Error struct {
	Alert uint8 // AlertDescription, RFC 8446, 6
	Text  string
}

func (e *Error) Error() string { return "ClientHello: " + e.Text }

var (
	errRecordType    = &Error{alertUnexpectedMessage, "record is not of type handshake"}
	errRecordVersion = &Error{alertProtocolVersion, "record has the version of another protocol"}
	errRecordLength  = &Error{alertRecordOverflow, "record is longer than 16384 bytes"}
	errRecordEmpty   = &Error{alertUnexpectedMessage, "empty handshake record"}
	errRecords       = &Error{alertIllegalParameter, "in too many records"}
	errMessageType   = &Error{alertUnexpectedMessage, "first message is another one"}
	errMessageLong   = &Error{alertIllegalParameter, "longer than 16384 bytes"}
	errTrailing      = &Error{alertUnexpectedMessage, "followed by other handshake data"}
	errMixed         = &Error{alertProtocolVersion, "version does not fit its record's"}

	errVersion      = &Error{alertProtocolVersion, "unknown legacy version"}
	errTruncated    = &Error{alertDecodeError, "lengths do not add up"}
	errCompression  = &Error{alertIllegalParameter, "null compression is not offered"}
	errExtensions   = &Error{alertDecodeError, "malformed extensions"}
	errRepeated     = &Error{alertIllegalParameter, "extension occurs twice"}
	errServerName   = &Error{alertDecodeError, "malformed server_name"}
	errName         = &Error{alertIllegalParameter, "server_name is no host name"}
	errNames        = &Error{alertIllegalParameter, "more than one host name"}
	errALPN         = &Error{alertDecodeError, "malformed application_layer_protocol_negotiation"}
	errVersions     = &Error{alertDecodeError, "malformed supported_versions"}
	errGroups       = &Error{alertDecodeError, "malformed supported_groups"}
	errPointFormats = &Error{alertDecodeError, "malformed ec_point_formats"}
	errSignatures   = &Error{alertDecodeError, "malformed signature_algorithms"}
	errKeyShare     = &Error{alertDecodeError, "malformed key_share"}
	errKeyShares    = &Error{alertIllegalParameter, "two key shares for one group"}
	errPSK          = &Error{alertDecodeError, "malformed pre_shared_key"}
	errPSKPlace     = &Error{alertIllegalParameter, "pre_shared_key is not the last extension"}
	errPSKModes     = &Error{alertDecodeError, "malformed psk_key_exchange_modes"}
	errPSKNoModes   = &Error{alertMissingExtension, "pre_shared_key without psk_key_exchange_modes"}
	errEarlyData    = &Error{alertDecodeError, "malformed early_data"}
	errStatus       = &Error{alertDecodeError, "malformed status_request"}
	errECH          = &Error{alertDecodeError, "malformed encrypted_client_hello"}
)
