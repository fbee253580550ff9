package yaml

import (
	"slices"
	"strings"

	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
)

// tlsParams reads versions, suites and groups; nil when none is written.
func (d *decoder) tlsParams(f fields) *tls.TlsParameters {
	if !slices.ContainsFunc([]string{"min", "max", "suites", "curves"}, f.has) {
		return nil
	}
	out := &tls.TlsParameters{
		TlsMinimumProtocolVersion: d.version(f, "min"),
		TlsMaximumProtocolVersion: d.version(f, "max"),
	}
	if v, ok := f.get("suites"); ok {
		for _, entry := range d.items(v) {
			if name, ok := d.suite(entry); ok {
				out.CipherSuites = append(out.CipherSuites, name)
			}
		}
		if v.isList() && len(v.node.Content) == 0 {
			d.fail(v, "must name at least one suite")
		}
	}
	if v, ok := f.get("curves"); ok {
		for _, entry := range d.items(v) {
			if name, ok := d.choice(entry, curveNames...); ok {
				out.EcdhCurves = append(out.EcdhCurves, name)
			}
		}
		if v.isList() && len(v.node.Content) == 0 {
			d.fail(v, "must name at least one group")
		}
	}
	return out
}

func (d *decoder) version(f fields, name string) tls.TlsParameters_TlsProtocol {
	v, ok := f.get(name)
	if !ok {
		return tls.TlsParameters_TLS_AUTO
	}
	s, _ := d.text(v)
	switch strings.TrimPrefix(s, "TLSv") {
	case "1.2":
		return tls.TlsParameters_TLSv1_2
	case "1.3":
		return tls.TlsParameters_TLSv1_3
	case "1", "1.0", "1.1":
		d.failHint(v, `write "1.2"`, "TLS %s is not spoken: RFC 8996 forbids it", strings.TrimPrefix(s, "TLSv"))
	default:
		d.fail(v, "%q: must be 1.2 or 1.3", clip(s))
	}
	return tls.TlsParameters_TLS_AUTO
}

// suite reads the name of a suite of TLS 1.2, and says why others are not to be had.
func (d *decoder) suite(v value) (string, bool) {
	s, ok := d.word(v)
	if !ok {
		return "", false
	}
	if name, known := suiteNames[s]; known {
		return name, true
	}
	upper := strings.ToUpper(strings.ReplaceAll(s, "_", "-"))
	switch {
	case slices.Contains([]string{"TLS-AES-128-GCM-SHA256", "TLS-AES-256-GCM-SHA384", "TLS-CHACHA20-POLY1305-SHA256"}, upper):
		d.failHint(v, "leave it out", "%s is of TLS 1.3, whose suites are always on", clip(s))
	case strings.Contains(upper, "SM4"):
		d.failHint(v, "see gm", "%s is chosen by the client when an SM2 certificate covers the name", clip(s))
	case strings.Contains(upper, "RC4") || strings.Contains(upper, "DES") || strings.Contains(upper, "NULL") || strings.Contains(upper, "EXPORT"):
		d.fail(v, "%s is broken and not spoken", clip(s))
	case strings.Contains(upper, "CBC") || strings.Contains(upper, "AES") && strings.Contains(upper, "-SHA") && !strings.Contains(upper, "GCM"):
		d.fail(v, "%s is a CBC suite; only AEAD suites are spoken, as CBC in TLS 1.2 has a record of padding attacks", clip(s))
	case strings.HasPrefix(upper, "DHE") || strings.Contains(upper, "-DHE-"):
		d.fail(v, "%s needs finite-field Diffie-Hellman, which is not spoken; take ECDHE", clip(s))
	case strings.HasPrefix(upper, "AES") || strings.HasPrefix(upper, "TLS-RSA"):
		d.fail(v, "%s has no forward secrecy and is not spoken; take ECDHE", clip(s))
	default:
		d.failHint(v, nearest(s, sortedKeys(suiteNames)), "%q is no suite of TLS 1.2 that is spoken", clip(s))
	}
	return "", false
}
