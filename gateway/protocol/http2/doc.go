// Package http2 is HTTP/2 (RFC 9113): the half that serves clients and the half
// that asks endpoints, on a worker's loop. What both share of a connection is
// conn: frames, header blocks, windows, pings. A stream's content in both
// directions is a flow.
package http2
