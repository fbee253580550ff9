package yaml

import "longmen/gateway/resource"

// Early data (0-RTT) of a listener or domain, and of a rule.

// Defaults of early data.
const (
	defaultEarlyData = 16 << 10
	maxEarlyData     = 1 << 20
	maxEarlyRemember = 10_000_000
)

var earlyDataTable = object{"early data", "What a client that comes back may send before the handshake is complete (0-RTT, RFC 8446 section 2.3), see [TLS](tls.md#early-data). It can be sent once more by somebody else, to another gateway\nat least, so requests in it wait for the handshake but on rules with `early_data: true`. Not together with `client_ca`, `spiffe` or `ech`.", []key{
	{"max", aSize, "16KiB", "Bytes on one connection (at most 1MiB). With 0 none are accepted, and clients that have tickets from before are served without: write this, for as long as tickets live, before `early_data` is taken away.", "extension `early_data`", "4KiB", false},
	{"remember", aWhole, "65536", "Handshakes with early data that are remembered for some 20 seconds, of all listeners together, to tell one that is sent again (1 to 10000000; 50 bytes each). When there are more, early data is not accepted.", "extension `early_data_remember`", "100000", false},
}}

// earlyData reads the key of a listener's or a domain's TLS.
func (d *decoder) earlyData(f fields, extra resource.Values) {
	v, ok := f.get("early_data")
	if !ok {
		return
	}
	own := d.object(v, earlyDataTable)
	extra["early_data"] = int64(defaultEarlyData)
	if n, ok := own.bytes("max", 0, maxEarlyData); ok {
		extra["early_data"] = n
	}
	if n, ok := own.number("remember", 1, maxEarlyRemember); ok {
		extra["early_data_remember"] = n
	}
}

// earlyRule reads the key of a rule.
func (d *decoder) earlyRule(f fields, extra resource.Values) {
	if on, ok := f.flag("early_data"); ok {
		extra["early_data"] = on
	}
}

// earlyData writes the key of a listener's or a domain's TLS.
func (e *encoder) earlyData(out *mapping, values resource.Values) {
	own := &mapping{}
	own.size("max", values, "early_data")
	own.value("remember", values, "early_data_remember")
	out.sub("early_data", own)
}
