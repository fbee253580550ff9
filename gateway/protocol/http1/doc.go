// Package http1 is HTTP/1.1 (RFC 9110, RFC 9112), both halves: Server speaks
// with clients, Client with endpoints. Both are strict: a message whose framing
// could be read in two ways is refused, so that one request in is exactly one
// request out.
package http1
