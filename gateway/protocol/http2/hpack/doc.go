// Package hpack is the field compression of HTTP/2 (RFC 7541), straight from and
// to stream.Header. A field is held as it stands in an HTTP/1 message, "name: value"
// and CR LF, in the tables too: a field that is indexed costs one copy, and
// an HTTP/1 upstream gets all fields of a request by one more.
package hpack
