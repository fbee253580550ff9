package stream

import "net/http"

// StatusText is the reason phrase that goes with a status (RFC 9110 section
// 15), "" when there is none.
func StatusText(status int) string { return http.StatusText(status) }
