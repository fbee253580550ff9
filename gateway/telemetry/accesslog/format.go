package accesslog

import "longmen/gateway/stream"

// DefaultText is the template of a text log that names none: the request, how
// it went, where it went, in how many tries and why, by which rule, and of a failure the side, phase and cause.
const DefaultText = `[%START_TIME%] %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% "%METHOD% %REQ(:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% ` +
	`%BYTES_RECEIVED% %BYTES_SENT% %DURATION% "%REQ(:AUTHORITY)%" "%REQ(USER-AGENT)%" %UPSTREAM_CLUSTER% %UPSTREAM_HOST% ` +
	`%UPSTREAM_REQUEST_ATTEMPT_COUNT% %RETRY_REASON% %RETRY_END% %ROUTE_ORIGIN% %ERROR_SIDE% %ERROR_PHASE% "%ERROR_CAUSE%"`

// DefaultJSON are the members of a JSON log that names none, in their order.
func DefaultJSON() []stream.JSONField {
	return []stream.JSONField{
		{Name: "time", Template: "%START_TIME%"},
		{Name: "listener", Template: "%LISTENER%"},
		{Name: "client", Template: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"},
		{Name: "method", Template: "%METHOD%"},
		{Name: "host", Template: "%REQ(:AUTHORITY)%"},
		{Name: "path", Template: "%PATH%"},
		{Name: "query", Template: "%QUERY%"},
		{Name: "protocol", Template: "%PROTOCOL%"},
		{Name: "tls_version", Template: "%DOWNSTREAM_TLS_VERSION%"},
		{Name: "tls_cipher", Template: "%DOWNSTREAM_TLS_CIPHER%"},
		{Name: "server_name", Template: "%REQUESTED_SERVER_NAME%"},
		{Name: "client_subject", Template: "%DOWNSTREAM_PEER_SUBJECT%"},
		{Name: "status", Template: "%RESPONSE_CODE%"},
		{Name: "flag", Template: "%RESPONSE_FLAGS%"},
		{Name: "side", Template: "%ERROR_SIDE%"},
		{Name: "phase", Template: "%ERROR_PHASE%"},
		{Name: "cause", Template: "%ERROR_CAUSE%"},
		{Name: "bytes_in", Template: "%BYTES_RECEIVED%"},
		{Name: "bytes_out", Template: "%BYTES_SENT%"},
		{Name: "duration_ms", Template: "%DURATION%"},
		{Name: "upstream", Template: "%UPSTREAM_HOST%"},
		{Name: "cluster", Template: "%UPSTREAM_CLUSTER%"},
		{Name: "tries", Template: "%UPSTREAM_REQUEST_ATTEMPT_COUNT%"},
		{Name: "retry_reason", Template: "%RETRY_REASON%"},
		{Name: "retry_end", Template: "%RETRY_END%"},
		{Name: "route", Template: "%ROUTE_NAME%"},
		{Name: "route_origin", Template: "%ROUTE_ORIGIN%"},
		{Name: "user_agent", Template: "%REQ(USER-AGENT)%"},
		{Name: "request_id", Template: "%REQ(X-REQUEST-ID)%"},
	}
}
