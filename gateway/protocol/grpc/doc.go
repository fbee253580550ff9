// Package grpc is what a proxy has to understand of gRPC over HTTP/2: how a call
// is recognised, its method, its deadline, and its status. It reads and writes
// field values; it does no I/O and knows no stream.
//
// The protocol is described in the gRPC project's doc/PROTOCOL-HTTP2.md.
package grpc
