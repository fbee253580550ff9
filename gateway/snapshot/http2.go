package snapshot

import (
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"longmen/gateway/resource"
)

// Protocols are the versions of HTTP that a listener speaks; at least one.
type Protocols struct{ HTTP1, HTTP2 bool }

// HTTP2 are the settings of a listener's HTTP/2 connections, with the defaults in
// place of what was not written.
type HTTP2 struct {
	// MaxStreams is how many streams a client may have open at once on one connection
	// (SETTINGS_MAX_CONCURRENT_STREAMS); default 100.
	MaxStreams int
	// StreamWindow is how many bytes of a request's body a client may send before they
	// are read (SETTINGS_INITIAL_WINDOW_SIZE), ConnWindow the same for all streams of a
	// connection together (RFC 9113 section 5.2). Both grow while a client's bandwidth
	// and delay ask for more, up to MaxStreamWindow and MaxConnWindow. Defaults 64 KiB,
	// 1 MiB, 1 MiB and 4 MiB.
	StreamWindow, ConnWindow       int
	MaxStreamWindow, MaxConnWindow int
	// HeaderTable bounds each HPACK table in bytes (RFC 7541 section 4.2), the one that
	// the client fills (SETTINGS_HEADER_TABLE_SIZE) and ours; default 4096.
	HeaderTable int
	// PingInterval is after how long without a frame from the client it is asked for a
	// sign of life, while streams are open; 0: it is not asked. PingTimeout is how long it
	// may take to send any frame then; default 15 s.
	PingInterval, PingTimeout time.Duration

	// What follows bounds abuse. A connection that goes beyond is ended with
	// ENHANCE_YOUR_CALM.

	// Resets are streams that a client ends early: by RST_STREAM, or by an error that we
	// must answer with RST_STREAM; default 500, and 100 a second.
	Resets Allowance
	// Control are frames that carry no content: SETTINGS, PING, PRIORITY, WINDOW_UPDATE,
	// and DATA, HEADERS and CONTINUATION that are empty without ending a stream. Those
	// that the transfer of content brings with it are not meant: see the codec; default
	// 1000, and 200 a second.
	Control Allowance
	// Continuations is how many CONTINUATION frames a header block may have; default
	// 4 more than MaxHead needs.
	Continuations int

	// ExtendedConnect allows extended CONNECT (RFC 8441): upgrades over HTTP/2. Default:
	// when the listener allows any upgrade.
	ExtendedConnect bool
}

// Allowance is a bucket that holds Burst at first and at most, and gets PerSecond new
// ones each second.
type Allowance struct{ Burst, PerSecond int }

// frameSize is the size up to which every peer takes frames (RFC 9113 section 4.2).
const frameSize = 16 << 10

// defaultHTTP2 are the settings of a listener that says nothing about HTTP/2. Streams
// and initial windows are those that Envoy recommends for an edge.
func defaultHTTP2() HTTP2 {
	return HTTP2{
		MaxStreams:      100,
		StreamWindow:    64 << 10,
		ConnWindow:      1 << 20,
		MaxStreamWindow: 1 << 20,
		MaxConnWindow:   4 << 20,
		HeaderTable:     4096,
		PingTimeout:     15 * time.Second,
		Resets:          Allowance{Burst: 500, PerSecond: 100},
		Control:         Allowance{Burst: 1000, PerSecond: 200},
	}
}

// continuations is how many CONTINUATION frames a head of that size may need, and some
// more for clients that split it otherwise.
func continuations(maxHead int) int { return (maxHead+frameSize-1)/frameSize + 4 }

// codec reads which versions of HTTP a listener speaks.
func (c *compiler) codec(at resource.Path, t hcm.HttpConnectionManager_CodecType) Protocols {
	switch t {
	case hcm.HttpConnectionManager_AUTO:
	case hcm.HttpConnectionManager_HTTP1:
		return Protocols{HTTP1: true}
	case hcm.HttpConnectionManager_HTTP2:
		return Protocols{HTTP2: true}
	default:
		c.fail(join(at, "protocols"), "%v is not supported by this version yet", t)
	}
	return Protocols{HTTP1: true, HTTP2: true}
}

// http2Options reads Http2ProtocolOptions; h has the rest of the listener's settings.
func (c *compiler) http2Options(at resource.Path, o *core.Http2ProtocolOptions, h *HTTP) {
	out := &h.HTTP2
	out.Continuations = continuations(h.MaxHead)
	out.ExtendedConnect = len(h.Upgrades) > 0
	if o == nil {
		return
	}
	at = join(at, "http2")
	c.only(at, o, "max_concurrent_streams", "initial_stream_window_size", "initial_connection_window_size", "hpack_table_size",
		"connection_keepalive", "allow_connect", "stream_reset_burst", "stream_reset_rate")
	out.ExtendedConnect = o.GetAllowConnect()
}
