package stream

// Known numbers the field names that the gateway itself looks at, so that the
// hot path compares a byte and not a name. Other is every other name.
type Known uint8

// The known names, in lower case on the wire.
const (
	Other Known = iota
	Accept
	AcceptEncoding
	Authorization
	CacheControl
	CDNLoop
	Connection
	ContentEncoding
	ContentLength
	ContentType
	Cookie
	Date
	Expect
	Forwarded
	GrpcMessage
	GrpcStatus
	GrpcTimeout
	Host
	KeepAlive
	Location
	Priority
	ProxyAuthenticate
	ProxyAuthorization
	ProxyConnection
	Referer
	RetryAfter
	Server
	SetCookie
	TE
	Trailer
	TransferEncoding
	Upgrade
	UserAgent
	Via
	XForwardedClientCert
	XForwardedFor
	XForwardedHost
	XForwardedPort
	XForwardedProto
	XRequestID

	// The pseudo-header fields of HTTP/2 (RFC 9113 section 8.3, RFC 8441 section
	// 4). They are in a Header only between its decoding and the codec's reading.
	PseudoMethod
	PseudoScheme
	PseudoAuthority
	PseudoPath
	PseudoProtocol
	PseudoStatus
	knownCount
)

// KnownName finds the number of a lower-case name.
func KnownName[T ~string | ~[]byte](name T) Known {
	switch len(name) {
	case 2:
		if string(name) == "te" {
			return TE
		}
	case 3:
		if string(name) == "via" {
			return Via
		}
	case 4:
		switch string(name) {
		case "host":
			return Host
		case "date":
			return Date
		}
	case 5:
		if string(name) == ":path" {
			return PseudoPath
		}
	case 6:
		switch string(name) {
		case "accept":
			return Accept
		case "cookie":
			return Cookie
		case "expect":
			return Expect
		case "server":
			return Server
		}
	case 7:
		switch string(name) {
		case "referer":
			return Referer
		case "trailer":
			return Trailer
		case "upgrade":
			return Upgrade
		case ":method":
			return PseudoMethod
		case ":scheme":
			return PseudoScheme
		case ":status":
			return PseudoStatus
		}
	case 8:
		switch string(name) {
		case "cdn-loop":
			return CDNLoop
		case "location":
			return Location
		case "priority":
			return Priority
		}
	case 9:
		switch string(name) {
		case "forwarded":
			return Forwarded
		case ":protocol":
			return PseudoProtocol
		}
	case 10:
		switch string(name) {
		case "connection":
			return Connection
		case "keep-alive":
			return KeepAlive
		case "set-cookie":
			return SetCookie
		case "user-agent":
			return UserAgent
		case ":authority":
			return PseudoAuthority
		}
	case 11:
		switch string(name) {
		case "retry-after":
			return RetryAfter
		case "grpc-status":
			return GrpcStatus
		}
	case 12:
		switch string(name) {
		case "grpc-message":
			return GrpcMessage
		case "grpc-timeout":
			return GrpcTimeout
		case "content-type":
			return ContentType
		case "x-request-id":
			return XRequestID
		}
	case 13:
		switch string(name) {
		case "authorization":
			return Authorization
		case "cache-control":
			return CacheControl
		}
	case 14:
		if string(name) == "content-length" {
			return ContentLength
		}
	case 15:
		if string(name) == "accept-encoding" {
			return AcceptEncoding
		}
		if string(name) == "x-forwarded-for" {
			return XForwardedFor
		}
	case 16:
		switch string(name) {
		case "content-encoding":
			return ContentEncoding
		case "proxy-connection":
			return ProxyConnection
		case "x-forwarded-host":
			return XForwardedHost
		case "x-forwarded-port":
			return XForwardedPort
		}
	case 17:
		switch string(name) {
		case "transfer-encoding":
			return TransferEncoding
		case "x-forwarded-proto":
			return XForwardedProto
		}
	case 18:
		if string(name) == "proxy-authenticate" {
			return ProxyAuthenticate
		}
	case 19:
		if string(name) == "proxy-authorization" {
			return ProxyAuthorization
		}
	case 23:
		// Programs that get fields as variables (RFC 3875 section 4.1.18) take the
		// second for the first: what holds for one must hold for the other.
		switch string(name) {
		case "x-forwarded-client-cert", "x_forwarded_client_cert":
			return XForwardedClientCert
		}
	}
	return Other
}
