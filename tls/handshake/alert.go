package handshake

import "strconv"

// Alert is the description of a TLS alert (RFC 8446 §6, RFC 5246 §7.2, GB/T 38636 §6.4.2): what the
// side that ends a handshake tells its peer.
type Alert uint8

// Alerts of TLS and, from 170 on, of TLCP alone.
const (
	CloseNotify            Alert = 0
	UnexpectedMessage      Alert = 10
	BadRecordMAC           Alert = 20
	DecryptionFailed       Alert = 21 // TLCP; TLS 1.1 and later send BadRecordMAC in its place
	RecordOverflow         Alert = 22
	DecompressionFailure   Alert = 30
	HandshakeFailure       Alert = 40
	BadCertificate         Alert = 42
	UnsupportedCertificate Alert = 43
	CertificateRevoked     Alert = 44
	CertificateExpired     Alert = 45
	CertificateUnknown     Alert = 46
	IllegalParameter       Alert = 47
	UnknownCA              Alert = 48
	AccessDenied           Alert = 49
	DecodeError            Alert = 50
	DecryptError           Alert = 51
	ProtocolVersion        Alert = 70
	InsufficientSecurity   Alert = 71
	InternalError          Alert = 80
	InappropriateFallback  Alert = 86
	UserCanceled           Alert = 90
	NoRenegotiation        Alert = 100 // TLS 1.2
	MissingExtension       Alert = 109
	UnsupportedExtension   Alert = 110
	UnrecognizedName       Alert = 112
	BadCertificateStatus   Alert = 113
	UnknownPSKIdentity     Alert = 115
	CertificateRequired    Alert = 116
	NoApplicationProtocol  Alert = 120
	UnsupportedSite2Site   Alert = 200 // TLCP
	NoArea                 Alert = 201 // TLCP
	UnsupportedAreaType    Alert = 202 // TLCP
	BadIBCParam            Alert = 203 // TLCP
	UnsupportedIBCParam    Alert = 204 // TLCP
	IdentityNeed           Alert = 205 // TLCP
)

// String is the alert's name in the standard's spelling, or "alert(N)".
func (a Alert) String() string {
	switch a {
	case CloseNotify:
		return "close_notify"
	case UnexpectedMessage:
		return "unexpected_message"
	case BadRecordMAC:
		return "bad_record_mac"
	case DecryptionFailed:
		return "decryption_failed"
	case RecordOverflow:
		return "record_overflow"
	case DecompressionFailure:
		return "decompression_failure"
	case HandshakeFailure:
		return "handshake_failure"
	case BadCertificate:
		return "bad_certificate"
	case UnsupportedCertificate:
		return "unsupported_certificate"
	case CertificateRevoked:
		return "certificate_revoked"
	case CertificateExpired:
		return "certificate_expired"
	case CertificateUnknown:
		return "certificate_unknown"
	case IllegalParameter:
		return "illegal_parameter"
	case UnknownCA:
		return "unknown_ca"
	case AccessDenied:
		return "access_denied"
	case DecodeError:
		return "decode_error"
	case DecryptError:
		return "decrypt_error"
	case ProtocolVersion:
		return "protocol_version"
	case InsufficientSecurity:
		return "insufficient_security"
	case InternalError:
		return "internal_error"
	case InappropriateFallback:
		return "inappropriate_fallback"
	case UserCanceled:
		return "user_canceled"
	case NoRenegotiation:
		return "no_renegotiation"
	case MissingExtension:
		return "missing_extension"
	case UnsupportedExtension:
		return "unsupported_extension"
	case UnrecognizedName:
		return "unrecognized_name"
	case BadCertificateStatus:
		return "bad_certificate_status_response"
	case UnknownPSKIdentity:
		return "unknown_psk_identity"
	case CertificateRequired:
		return "certificate_required"
	case NoApplicationProtocol:
		return "no_application_protocol"
	case UnsupportedSite2Site:
		return "unsupported_site2site"
	case NoArea:
		return "no_area"
	case UnsupportedAreaType:
		return "unsupported_areatype"
	case BadIBCParam:
		return "bad_ibcparam"
	case UnsupportedIBCParam:
		return "unsupported_ibcparam"
	case IdentityNeed:
		return "identity_need"
	}
	return "alert(" + strconv.Itoa(int(a)) + ")"
}
