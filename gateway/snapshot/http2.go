package snapshot

import (
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

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
	// HeaderTable bounds the HPACK table that the client fills, in bytes (RFC 7541
	// section 4.2, SETTINGS_HEADER_TABLE_SIZE); default 4096.
	HeaderTable int
	// PingInterval is after how long without a byte from the client it is asked for a
	// sign of life; 0: it is not asked. PingTimeout is how long it may take to answer;
	// default 15 s.
	PingInterval, PingTimeout time.Duration

	// What follows bounds abuse. A connection that goes beyond is ended with
	// ENHANCE_YOUR_CALM.

	// Resets are streams that a client ends early: by RST_STREAM, or by an error that we
	// must answer with RST_STREAM; default 500, and 100 a second.
	Resets Allowance
	// Control are frames that carry nothing: SETTINGS, PRIORITY, PING and WINDOW_UPDATE
	// beyond those that go with the DATA that was sent, DATA and CONTINUATION that are
	// empty without ending anything, and the like; default 1000, and 500 a second.
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

// The bounds of settings of HTTP/2, on either side.
const (
	minWindow      = 1<<16 - 1 // what every peer begins with (RFC 9113 section 6.9.2)
	maxWindow      = 1<<31 - 1 // the largest that there is
	maxStreams     = 1<<31 - 1
	maxHeaderTable = 1 << 20
	maxAllowance   = 1_000_000
	minPing        = 100 * time.Millisecond
	// frameSize is the size up to which every peer takes frames (RFC 9113 section 4.2).
	frameSize = 16 << 10
)

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
		Control:         Allowance{Burst: 1000, PerSecond: 500},
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

// http2 reads Http2ProtocolOptions: what both sides understand, and the fields named in
// more, which the caller reads. With base it has the defaults.
func (c *compiler) http2(at resource.Path, o *core.Http2ProtocolOptions, base HTTP2, more ...string) HTTP2 {
	if o == nil {
		return base
	}
	c.only(at, o, append(more, "max_concurrent_streams", "initial_stream_window_size", "initial_connection_window_size",
		"hpack_table_size", "connection_keepalive", "override_stream_error_on_invalid_http_message")...)
	if one := o.GetOverrideStreamErrorOnInvalidHttpMessage(); one != nil && !one.GetValue() {
		c.fail(at, "Http2ProtocolOptions.override_stream_error_on_invalid_http_message: false is not supported: a malformed message ends its stream, not the connection")
	}
	out := base
	out.MaxStreams = c.number(join(at, "max_streams"), o.GetMaxConcurrentStreams(), 1, maxStreams, out.MaxStreams)
	out.StreamWindow = c.number(join(at, "stream_window"), o.GetInitialStreamWindowSize(), minWindow, maxWindow, out.StreamWindow)
	out.ConnWindow = c.number(join(at, "connection_window"), o.GetInitialConnectionWindowSize(), minWindow, maxWindow, out.ConnWindow)
	out.HeaderTable = c.number(join(at, "header_table"), o.GetHpackTableSize(), 0, maxHeaderTable, out.HeaderTable)
	if k := o.GetConnectionKeepalive(); k != nil {
		where := join(at, "ping")
		c.only(where, k, "interval", "timeout")
		out.PingInterval = c.duration(join(where, "interval"), k.GetInterval(), out.PingInterval)
		if out.PingInterval > 0 && out.PingInterval < minPing {
			c.fail(join(where, "interval"), "%v: must be at least %v, or 0s for none", out.PingInterval, minPing)
		}
		out.PingTimeout = c.positive(join(where, "timeout"), k.GetTimeout(), out.PingTimeout)
	}
	return out
}

// http2Options reads a listener's Http2ProtocolOptions; h has the rest of its settings.
func (c *compiler) http2Options(at resource.Path, o *core.Http2ProtocolOptions, h *HTTP) {
	at = join(at, "http2")
	out := c.http2(at, o, h.HTTP2, "allow_connect", "stream_reset_burst", "stream_reset_rate")
	out.Continuations = continuations(h.MaxHead)
	out.ExtendedConnect = len(h.Upgrades) > 0
	if o != nil {
		out.ExtendedConnect = o.GetAllowConnect()
		out.Resets.Burst = c.wide(join(at, "resets.burst"), o.GetStreamResetBurst(), 1, maxAllowance, out.Resets.Burst)
		out.Resets.PerSecond = c.wide(join(at, "resets.per_second"), o.GetStreamResetRate(), 1, maxAllowance, out.Resets.PerSecond)
		if !h.Protocols.HTTP2 {
			c.warn(at, "", "has no effect: the listener speaks HTTP/1.1 alone")
		}
	}
	h.HTTP2 = out
}

// wide is number for a field of 64 bits.
func (c *compiler) wide(at resource.Path, n *wrapperspb.UInt64Value, low, high uint64, fallback int) int {
	if n == nil {
		return fallback
	}
	if v := n.GetValue(); v < low || v > high {
		c.fail(at, "%d: must be from %d to %d", v, low, high)
		return fallback
	}
	return int(n.GetValue())
}

// http2Extension reads what xDS has no field for.
func (s *settings) http2Extension(h *HTTP2) {
	s.count("http2_control_burst", 1, maxAllowance, &h.Control.Burst)
	s.count("http2_control_rate", 1, maxAllowance, &h.Control.PerSecond)
	s.count("http2_continuations", 0, 10_000, &h.Continuations)
	h.MaxStreamWindow = s.window("http2_max_stream_window", "stream_window", h.StreamWindow, h.MaxStreamWindow)
	h.MaxConnWindow = s.window("http2_max_connection_window", "connection_window", h.ConnWindow, h.MaxConnWindow)
}

// window reads what a window may grow to: at least what it begins with.
func (s *settings) window(key, first string, initial, fallback int) int {
	most := 0
	s.count(key, minWindow, maxWindow, &most)
	switch {
	case most == 0:
		return max(initial, fallback)
	case most < initial:
		s.c.fail(join(join(s.at, "http2"), "max_"+first), "%d bytes are less than the window begins with (%s: %d)", most, first, initial)
	}
	return most
}
