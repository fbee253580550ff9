package handshake

// VersionName is how logs and metrics name a protocol version: "TLSv1.3", as Envoy and
// OpenSSL write it, or "TLCP"; "" for one that is not spoken here.
func VersionName(version uint16) string {
	switch version {
	case VersionTLS12:
		return "TLSv1.2"
	case VersionTLS13:
		return "TLSv1.3"
	case VersionTLCP:
		return "TLCP"
	}
	return ""
}

// SuiteName is the name of a cipher suite: OpenSSL's for TLS 1.2, as Envoy writes it, that
// of the standard for TLS 1.3 (RFC 8446, RFC 8998) and TLCP (GB/T 38636-2020 §6.4.5.2.1);
// "" for one that is not spoken here.
func SuiteName(suite uint16) string {
	switch suite {
	case 0x1301:
		return "TLS_AES_128_GCM_SHA256"
	case 0x1302:
		return "TLS_AES_256_GCM_SHA384"
	case 0x1303:
		return "TLS_CHACHA20_POLY1305_SHA256"
	case 0x00c6:
		return "TLS_SM4_GCM_SM3"
	case 0x009c:
		return "AES128-GCM-SHA256"
	case 0x009d:
		return "AES256-GCM-SHA384"
	case 0xc02b:
		return "ECDHE-ECDSA-AES128-GCM-SHA256"
	case 0xc02c:
		return "ECDHE-ECDSA-AES256-GCM-SHA384"
	case 0xc02f:
		return "ECDHE-RSA-AES128-GCM-SHA256"
	case 0xc030:
		return "ECDHE-RSA-AES256-GCM-SHA384"
	case 0xcca8:
		return "ECDHE-RSA-CHACHA20-POLY1305"
	case 0xcca9:
		return "ECDHE-ECDSA-CHACHA20-POLY1305"
	case 0xe011:
		return "ECDHE_SM4_CBC_SM3"
	case 0xe051:
		return "ECDHE_SM4_GCM_SM3"
	case 0xe013:
		return "ECC_SM4_CBC_SM3"
	case 0xe053:
		return "ECC_SM4_GCM_SM3"
	}
	return ""
}
