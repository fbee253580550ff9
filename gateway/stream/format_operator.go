package stream

// operator is a command operator of a Format.
type operator uint8

// The operators. Those that %REQ()% and %RESP()% can name as pseudo headers
// (":path") are operators like the others.
const (
	opNone operator = iota
	opText
	opRequestHeader
	opResponseHeader
	opTrailer
	opStartTime
	opProtocol
	opResponseCode
	opResponseFlags
	opResponseCodeDetails
	opGRPCStatus
	opGRPCStatusSnake
	opGRPCStatusNumber
	opBytesReceived
	opBytesSent
	opDuration
	opRequestDuration
	opResponseDuration
	opUpstreamHost
	opUpstreamCluster
	opUpstreamAttempts
	opRetryReason
	opRetryEnd
	opRouteName
	opRouteOrigin
	opListener
	opRemoteAddress
	opRemoteAddressOnly
	opRemotePort
	opDirectAddress
	opDirectAddressOnly
	opDirectPort
	opLocalAddress
	opLocalAddressOnly
	opLocalPort
	opHostname
	opStreamID
	opErrorSide
	opErrorPhase
	opErrorCause
	opMethod
	opPath
	opQuery
	opHost
	opTarget    // :PATH
	opAuthority // :AUTHORITY
	opScheme    // :SCHEME
	opServerName
	opTLSVersion
	opTLSCipher
	opTLSEarlyData
	opJA3
	opJA4
	opPeerSubject
	opPeerIssuer
	opPeerSerial
	opPeerFingerprint
	opPeerURIs
	opPeerDNS
	opPeerIPs
	opPeerEmails
	opPeerStart
	opPeerEnd
	opPeerCert
	opOwnSubject
	opOwnURIs
	opOwnDNS
	opOwnIPs
	opOwnEmails
	opUpstreamTLSVersion
	opUpstreamTLSCipher
	opUpstreamSubject
	opUpstreamIssuer
	opUpstreamSerial
	opUpstreamFingerprint
	opUpstreamURIs
	opUpstreamDNS
	opUpstreamIPs
	opUpstreamEmails
	opUpstreamStart
	opUpstreamEnd
	opUpstreamCert
	operatorCount
)

// operators describes each operator; those without a name are not written by
// themselves.
var operators = [operatorCount]struct {
	name    string
	number  bool // a JSON number
	foreign bool // may hold any byte: it came from a peer or from the configuration
}{
	opRequestHeader:       {name: "REQ", foreign: true},                   // (X?Y):Z header X, else Y, at most Z bytes
	opResponseHeader:      {name: "RESP", foreign: true},                  // (X?Y):Z
	opTrailer:             {name: "TRAILER", foreign: true},               // (X?Y):Z of the response
	opStartTime:           {name: "START_TIME"},                           // (strftime) first byte of the request, UTC
	opProtocol:            {name: "PROTOCOL"},                             // HTTP/1.1, HTTP/2
	opResponseCode:        {name: "RESPONSE_CODE", number: true},          // 0 when the client was told nothing
	opResponseFlags:       {name: "RESPONSE_FLAGS"},                       // Flag
	opResponseCodeDetails: {name: "RESPONSE_CODE_DETAILS", foreign: true}, // why the stream failed
	opGRPCStatus:          {name: "GRPC_STATUS"},                          // (CAMEL_STRING, SNAKE_STRING or NUMBER)
	opGRPCStatusSnake:     {},
	opGRPCStatusNumber:    {name: "GRPC_STATUS_NUMBER", number: true},
	opBytesReceived:       {name: "BYTES_RECEIVED", number: true},    // of the request's body
	opBytesSent:           {name: "BYTES_SENT", number: true},        // of the response's body
	opDuration:            {name: "DURATION", number: true},          // ms from the request's first byte to the end
	opRequestDuration:     {name: "REQUEST_DURATION", number: true},  // ms to the complete request head
	opResponseDuration:    {name: "RESPONSE_DURATION", number: true}, // ms to the complete response head from upstream
	opUpstreamHost:        {name: "UPSTREAM_HOST"},                   // the endpoint's address and port
	opUpstreamCluster:     {name: "UPSTREAM_CLUSTER", foreign: true},
	opUpstreamAttempts:    {name: "UPSTREAM_REQUEST_ATTEMPT_COUNT", number: true},
	opRetryReason:         {name: "RETRY_REASON"}, // RetryReason
	opRetryEnd:            {name: "RETRY_END"},    // RetryEnd
	opRouteName:           {name: "ROUTE_NAME", foreign: true},
	opRouteOrigin:         {name: "ROUTE_ORIGIN", foreign: true}, // where the rule is written
	opListener:            {name: "LISTENER", foreign: true},
	// The client: behind trusted proxies, what they say it is; its port is then
	// unknown and written as 0, or absent where it stands alone.
	opRemoteAddress:     {name: "DOWNSTREAM_REMOTE_ADDRESS"},
	opRemoteAddressOnly: {name: "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT"},
	opRemotePort:        {name: "DOWNSTREAM_REMOTE_PORT", number: true},
	// The other end of the connection.
	opDirectAddress:     {name: "DOWNSTREAM_DIRECT_REMOTE_ADDRESS"},
	opDirectAddressOnly: {name: "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT"},
	opDirectPort:        {name: "DOWNSTREAM_DIRECT_REMOTE_PORT", number: true},
	// Our end of it.
	opLocalAddress:     {name: "DOWNSTREAM_LOCAL_ADDRESS"},
	opLocalAddressOnly: {name: "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT"},
	opLocalPort:        {name: "DOWNSTREAM_LOCAL_PORT", number: true},
	opHostname:         {name: "HOSTNAME", foreign: true}, // of this machine
	opStreamID:         {name: "STREAM_ID", number: true}, // unique within a worker
	opErrorSide:        {name: "ERROR_SIDE"},              // Side
	opErrorPhase:       {name: "ERROR_PHASE"},             // Phase
	opErrorCause:       {name: "ERROR_CAUSE", foreign: true},
	opMethod:           {name: "METHOD", foreign: true},
	opPath:             {name: "PATH", foreign: true},  // the canonical path
	opQuery:            {name: "QUERY", foreign: true}, // without "?"
	opHost:             {name: "HOST", foreign: true},  // lower case, without port
	opTarget:           {foreign: true},                // the canonical path and the query
	opAuthority:        {foreign: true},
	opScheme:           {},
	// The client's connection; absent on one without TLS.
	opServerName:   {name: "REQUESTED_SERVER_NAME", foreign: true}, // SNI
	opTLSVersion:   {name: "DOWNSTREAM_TLS_VERSION"},               // handshake.VersionName
	opTLSCipher:    {name: "DOWNSTREAM_TLS_CIPHER"},                // handshake.SuiteName
	opTLSEarlyData: {name: "DOWNSTREAM_TLS_EARLY_DATA"},            // of this request
	opJA3:          {name: "TLS_JA3_FINGERPRINT"},                  // of its ClientHello
	opJA4:          {name: "TLS_JA4_FINGERPRINT"},
	// The certificate that the client showed.
	opPeerSubject:     {name: "DOWNSTREAM_PEER_SUBJECT", foreign: true}, // RFC 2253
	opPeerIssuer:      {name: "DOWNSTREAM_PEER_ISSUER", foreign: true},
	opPeerSerial:      {name: "DOWNSTREAM_PEER_SERIAL"},                 // hexadecimal
	opPeerFingerprint: {name: "DOWNSTREAM_PEER_FINGERPRINT_256"},        // SHA-256, hexadecimal
	opPeerURIs:        {name: "DOWNSTREAM_PEER_URI_SAN", foreign: true}, // joined by commas
	opPeerDNS:         {name: "DOWNSTREAM_PEER_DNS_SAN", foreign: true},
	opPeerIPs:         {name: "DOWNSTREAM_PEER_IP_SAN"},
	opPeerEmails:      {name: "DOWNSTREAM_PEER_EMAIL_SAN", foreign: true},
	opPeerStart:       {name: "DOWNSTREAM_PEER_CERT_V_START"}, // (strftime) UTC
	opPeerEnd:         {name: "DOWNSTREAM_PEER_CERT_V_END"},   // (strftime)
	opPeerCert:        {name: "DOWNSTREAM_PEER_CERT"},         // URL-encoded PEM
	// The certificate that it was shown.
	opOwnSubject: {name: "DOWNSTREAM_LOCAL_SUBJECT", foreign: true},
	opOwnURIs:    {name: "DOWNSTREAM_LOCAL_URI_SAN", foreign: true},
	opOwnDNS:     {name: "DOWNSTREAM_LOCAL_DNS_SAN", foreign: true},
	opOwnIPs:     {name: "DOWNSTREAM_LOCAL_IP_SAN"},
	opOwnEmails:  {name: "DOWNSTREAM_LOCAL_EMAIL_SAN", foreign: true},
	// The endpoint's connection.
	opUpstreamTLSVersion:  {name: "UPSTREAM_TLS_VERSION"},
	opUpstreamTLSCipher:   {name: "UPSTREAM_TLS_CIPHER"},
	opUpstreamSubject:     {name: "UPSTREAM_PEER_SUBJECT", foreign: true},
	opUpstreamIssuer:      {name: "UPSTREAM_PEER_ISSUER", foreign: true},
	opUpstreamSerial:      {name: "UPSTREAM_PEER_SERIAL"},
	opUpstreamFingerprint: {name: "UPSTREAM_PEER_FINGERPRINT_256"},
	opUpstreamURIs:        {name: "UPSTREAM_PEER_URI_SAN", foreign: true},
	opUpstreamDNS:         {name: "UPSTREAM_PEER_DNS_SAN", foreign: true},
	opUpstreamIPs:         {name: "UPSTREAM_PEER_IP_SAN"},
	opUpstreamEmails:      {name: "UPSTREAM_PEER_EMAIL_SAN", foreign: true},
	opUpstreamStart:       {name: "UPSTREAM_PEER_CERT_V_START"},
	opUpstreamEnd:         {name: "UPSTREAM_PEER_CERT_V_END"},
	opUpstreamCert:        {name: "UPSTREAM_PEER_CERT"},
}

// A source is where %REQ()%, %RESP()% or %TRAILER()% finds a value: in the field
// of that name, or what a pseudo header stands for.
type source struct {
	op   operator
	name string // lower case
	id   Known  // of name
}

// value finds the first field of that name.
func (x *source) value(h *Header) []byte {
	if x.id != Other {
		return h.GetKnown(x.id)
	}
	return h.Get(x.name)
}
