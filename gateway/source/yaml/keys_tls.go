package yaml

import "slices"

// The vocabulary of TLS.

var (
	aSource  = kind{"file or PEM", `{"$ref":"#/$defs/text"}`}
	aVersion = kind{"1.2 \\| 1.3", `{"enum":["1.2","1.3",1.2,1.3]}`}
	aSuite   = one(sortedKeys(suiteNames)...)
	aCurve   = one(curveNames...)
	aPair    = kind{"[certificate, key]", `{"type":"array","minItems":2,"maxItems":2,"items":{"$ref":"#/$defs/text"}}`}
)

var secretTable = object{"secret", "Certificates, authorities or ticket keys (`secrets.<name>`): `cert` and `key`, or `sm2`, or `acme`, or `ca`, or `ticket_secret`, or `ticket_keys`, or `ech`. A list of\ncertificates under one name, such as RSA, ECDSA and SM2, is offered together; each client gets the first that it can use. Files are named\nrelative to the folder of gateway.yaml and read again when they change; PEM text may stand in place of a file's name.", []key{
	{"cert", aSource, "", "The certificate, followed by the authorities that lead to its root.", "`Secret.tls_certificate.certificate_chain`", "certs/shop.crt", false},
	{"key", aSource, "", "Its private key (PKCS#8, PKCS#1 or SEC 1, not encrypted), or the PKCS#11 URI of one in a token, see [TLS](#tls).", "`Secret.tls_certificate.private_key`", "certs/shop.key", false},
	{"ocsp", aSource, "fetched from the authority", "An OCSP response (DER) to staple; the file is read again when it changes.", "`Secret.tls_certificate.ocsp_staple`", "certs/shop.ocsp", false},
	{"sm2", ref("sm2"), "", "The two SM2 certificates of TLCP (GB/T 38636); the first of them serves RFC 8998 too.", "see there", "{sign: [s.crt, s.key], encrypt: [e.crt, e.key]}", false},
	{"acme", ref("acme"), "", "Certificates that the gateway orders and renews by itself.", "see there", "{email: me@example.com, agree: true}", false},
	{"ca", aSource, "", "Authorities that may certify a peer.", "`Secret.validation_context.trusted_ca`", "certs/clients.pem", false},
	{"crl", aSource, "", "With `ca`: certificates that they have revoked (one list for each authority).", "`Secret.validation_context.crl`", "certs/clients.crl", false},
	{"ticket_secret", aString, "", "File of a secret of at least 32 bytes (`openssl rand -hex 32`) from which each hour's keys for session tickets come. Clients resume on every node that has it.", "`Secret.generic_secret.secret`", "tickets/secret", false},
	{"ticket_keys", oneOrMore(aString), "", "In place of that: files of keys of 80 (or 48) bytes as Envoy and nginx have them; the first seals, all open, and who changes the files changes the keys.", "`Secret.session_ticket_keys.keys`", "[tickets/now.key, tickets/before.key]", false},
	{"ech", oneOrMore(aSource), "", "Keys of Encrypted Client Hello (RFC 9849) as `longmen cert --ech` makes them: PEM with `PRIVATE KEY` and `ECHCONFIG` (RFC 9934). Clients are told of the first, all open: put a new one in front, and keep the old ones until DNS has forgotten them.", "`Secret.generic_secret.secrets` with the names `ech[0]`, `ech[1]`, ...", "[ech/now.pem, ech/before.pem]", false},
}}

var acmeTable = object{"acme", "Certificates of an authority that speaks ACME (RFC 8555), one for each host, ordered when the gateway runs and renewed when the authority\nsuggests it (RFC 9773), else when a third of their life is left. Names without a certificate yet are refused. Gateways with the same `storage`\norder each certificate once and answer each other's challenges.", []key{
	{"agree", aBool, "", "Must be `true`: you agree to the authority's terms of service. Required.", "extension `agree`", "true", false},
	{"email", aString, "", "Your address, for the authority's messages.", "extension `email`", "me@example.com", false},
	{"directory", aString, "https://acme-v02.api.letsencrypt.org/directory", "URL of the authority's directory; the default is Let's Encrypt.", "extension `directory`", `"https://acme-staging-v02.api.letsencrypt.org/directory"`, false},
	{"hosts", oneOrMore(aString), "those of the routes", "Names to order certificates for. By default the names in the routes of the listeners that use the secret, without wildcards and without those that another certificate of the listener covers.", "extension `hosts`", "[shop.example.com, www.example.com]", false},
	{"storage", aString, "acme", "Folder for certificates, private keys, accounts and pending challenges. Relative to the folder of gateway.yaml.", "extension `storage`", "/var/lib/longmen/acme", false},
	{"key", one("p256", "rsa2048"), "p256", "Kind of private keys. Each certificate has a new one.", "extension `key`", "rsa2048", false},
	{"challenge", one("http-01", "tls-alpn-01"), "both of them", "How the authority sees that a name is ours: by HTTP to port 80, or by TLS to port 443.", "extension `challenge`", "tls-alpn-01", false},
	{"ca", aSource, "system", "Authorities that certify the directory.", "extension `ca`", "certs/internal.pem", false},
	{"eab", ref("eab"), "", "Binds the account to one that you have with the authority.", "see there", "{id: kid-1, key: certs/eab.key}", false},
}}

var eabTable = object{"eab", "An external account (RFC 8555 section 7.3.4). Both are required.", []key{
	{"id", aString, "", "Its name, as the authority gave it. Required.", "extension `external_id`", "kid-1", false},
	{"key", aString, "", "File of its key, as the authority gave it: base64url. Required.", "extension `external_key`", "certs/eab.key", false},
}}

var sm2Table = object{"sm2", "A pair of SM2 certificates (GB/T 38636 section 6.4.5.3). Both are required.", []key{
	{"sign", aPair, "", "For signatures. Required.", "`Secret.tls_certificate.certificate_chain`, `.private_key`", "[s.crt, s.key]", false},
	{"encrypt", aPair, "", "For encryption. Required.", "extension `encrypt_certificate`, `encrypt_private_key`", "[e.crt, e.key]", false},
}}

// tlsKeys are the settings that a listener and each of its domains may have.
var tlsKeys = []key{
	{"min", aVersion, "1.2", "Least version.", "`tls_params.tls_minimum_protocol_version`", `"1.3"`, false},
	{"max", aVersion, "1.3", "Greatest version.", "`tls_params.tls_maximum_protocol_version`", `"1.2"`, false},
	{"suites", listOf(aSuite), "all of these", "Suites of TLS 1.2 (those of TLS 1.3 are always on), as OpenSSL or RFC 5246 name them; without AEAD and ECDHE none.", "`tls_params.cipher_suites`", "[ECDHE-ECDSA-AES128-GCM-SHA256, ECDHE-RSA-AES128-GCM-SHA256]", false},
	{"curves", listOf(aCurve), "[X25519MLKEM768, X25519, P-256, P-384, P-521]", "Groups for the key exchange. Their order does not count: the safest and fastest that both sides have is taken.", "`tls_params.ecdh_curves`", "[X25519, P-256]", false},
	{"client_ca", aSource, "", "Authorities of client certificates: the name of a secret with `ca`, or a file (a name with a dot or slash). Clients are asked for a certificate.", "`validation_context.trusted_ca`, `validation_context_sds_secret_config`", "clients", false},
	{"crl", aSource, "the secret's", "Client certificates that were revoked.", "`validation_context.crl`", "certs/clients.crl", false},
	{"spiffe", mapOf(aSource), "", "In place of `client_ca`: authorities for each SPIFFE trust domain.", "`validation_context.custom_validator_config` (`SPIFFECertValidatorConfig`)", "{prod.example.com: certs/prod.pem}", false},
	{"require", aBool, "false", "Refuse clients without a certificate.", "`require_client_certificate`", "true", false},
	{"san", oneOrMore(ref("san")), "any", "Names, one of which a client's certificate must have.", "`validation_context.match_typed_subject_alt_names`", `{uri: {prefix: "spiffe://prod.example.com/ns/web/"}}`, false},
	{"pins", oneOrMore(aString), "any", "SHA-256 of public keys (SPKI) in base64, one of which a client's certificate must have.", "`validation_context.verify_certificate_spki`", "[NvqYIYSbgK2vCJpQhObf77vv+bQWtc5ek5RIOwPiC9A=]", false},
	{"depth", aWhole, "100", "Authorities in a client's chain, its root among them, at most (1 to 100).", "`validation_context.max_verify_depth`", "2", false},
	{"tickets", either(one("on", "off"), aString), "on", "Session resumption: `on` with keys that this process makes and changes, `off`, or the name of a secret with `ticket_secret` or `ticket_keys`.", "`session_ticket_keys_sds_secret_config`; on, off: `disable_stateless_session_resumption`, `disable_stateful_session_resumption`", "tickets", false},
	{"ocsp", one("staple", "require", "off"), "staple", "Staple an OCSP response when there is one, use no certificate without, or neither fetch nor staple.", "require: `ocsp_staple_policy: MUST_STAPLE`; others: extension `ocsp`", "require", false},
	{"early_data", ref("early data"), "none", "Early data (0-RTT).", "see there", "{max: 4KiB}", false},
	{"gm", ref("gm"), "", "SM protocols.", "see there", "{tlcp: false}", false},
}

var listenerTLSTable = object{"listener tls", "TLS of a listener (`tls`). `tls: [shop, api]` is short for `tls: {certs: [shop, api]}`.", slices.Concat([]key{
	{"certs", oneOrMore(aString), "", "Names of secrets. The server name (SNI) picks the certificate; the first one serves names that none covers. Required.", "`tls_certificate_sds_secret_configs`", "[shop, api]", false},
}, tlsKeys, []key{
	{"domains", mapOf(ref("domain tls")), "", "Settings of their own for some server names; `*.example.com` stands for every name below, `*` for every name. What is not written there is as for the listener.", "extension `domains`", `{"*.bank.example.com": {min: "1.3"}}`, false},
	{"ech", aString, "", "Name of a secret with `ech`: the server name and all else in a ClientHello may come encrypted, and settings and certificate are those of that name. Clients with an old configuration are served with the certificate of the public name, and told the new one. `passthrough` goes by the name in the clear.", "extension `ech`", "ech", false},
	{"strict_sni", aBool, "false", "Refuse server names that no certificate covers, and clients that send none.", "`require_sni`, extension `strict_sni`", "true", false},
	{"plain", aBool, "false", "Serve plain HTTP on the same port too, HTTP/1.1 and HTTP/2 as `protocols` says: the first bytes tell which it is.", "extension `plain`", "true", false},
	{"passthrough", mapOf(aString), "", "Server names (as in `domains`) whose connections go to a cluster as they are, without termination.", "extension `passthrough`", "{db.example.com: db}", false},
	{"crypto", one("auto", "openssl", "go"), "auto", "What holds private keys and signs: `auto` takes for each kind of key what is faster.", "extension `crypto`", "openssl", false},
	{"keylog", aString, "", "File that gets the secrets of all connections (NSS format). Who can read it can read all traffic.", "`key_log.path`", "debug/keys.log", false},
	{"handshake_timeout", aDuration, "10s", "From the accepted connection until its handshake is done (100ms to 5m).", "extension `handshake_timeout`", "5s", false},
	{"max_handshakes", aWhole, "1024", "Handshakes at once over all workers (1 to 1000000); others wait for their turn, within `handshake_timeout`.", "extension `max_handshakes`", "256", false},
})}

var domainTLSTable = object{"domain tls", "TLS of some server names of a listener (`domains`).", append([]key{
	{"protocols", oneOrMore(one(protocolNames...)), "the listener's", "What ALPN (RFC 7301) chooses from; some of the listener's `protocols`.", "`alpn_protocols`", "[http/1.1]", false},
}, tlsKeys...)}

var gmTable = object{"gm", "SM protocols (国密). Both need an SM2 certificate that covers the name.", []key{
	{"tlcp", aBool, "true", "Accept TLCP (GB/T 38636).", "extension `tlcp`", "false", false},
	{"rfc8998", aBool, "true", "Accept TLS 1.3 with TLS_SM4_GCM_SM3 (RFC 8998).", "extension `rfc8998`", "false", false},
}}

var sanTable = object{"san", "A name in a certificate: exactly one of these.", []key{
	{"dns", either(aString, ref("value match")), "", "DNS name.", "`SubjectAltNameMatcher.san_type: DNS`", "web.internal", false},
	{"uri", either(aString, ref("value match")), "", "URI, such as a SPIFFE id.", "`SubjectAltNameMatcher.san_type: URI`", `"spiffe://prod.example.com/ns/web/sa/web"`, false},
	{"email", either(aString, ref("value match")), "", "Mail address.", "`SubjectAltNameMatcher.san_type: EMAIL`", "ops@example.com", false},
	{"ip", either(aString, ref("value match")), "", "IP address.", "`SubjectAltNameMatcher.san_type: IP_ADDRESS`", "10.0.0.1", false},
}}

var clusterTLSTable = object{"cluster tls", "TLS to a cluster's endpoints (`tls`); `tls: true` is TLS with the defaults: the system's authorities, and the name of the endpoint.", []key{
	{"ca", aSource, "system", "Authorities that may certify an endpoint: `system`, the name of a secret with `ca`, or a file (a name with a dot or slash).", "`validation_context.system_root_certs`, `.trusted_ca`, `validation_context_sds_secret_config`", "certs/internal.pem", false},
	{"crl", aSource, "the secret's", "Certificates that were revoked.", "`validation_context.crl`", "certs/internal.crl", false},
	{"sni", either(one("endpoint", "request"), aString), "endpoint", "Server name that is sent and verified: the endpoint's `hostname`, else its DNS name, else its IP address (which is never sent); the host of the request; or this name.", "`sni`; endpoint: `auto_host_sni`, `auto_sni_san_validation`; request: `HttpProtocolOptions.upstream_http_protocol_options`", "api.internal", false},
	{"san", oneOrMore(ref("san")), "the server name", "In place of the server name: names, one of which the certificate must have.", "`validation_context.match_typed_subject_alt_names`", `{uri: "spiffe://prod.example.com/ns/api/sa/api"}`, false},
	{"pins", oneOrMore(aString), "any", "SHA-256 of public keys (SPKI) in base64, one of which the certificate must have.", "`validation_context.verify_certificate_spki`", "[NvqYIYSbgK2vCJpQhObf77vv+bQWtc5ek5RIOwPiC9A=]", false},
	{"insecure", aBool, "false", "Verify nothing: whoever answers is believed.", "`validation_context.trust_chain_verification: ACCEPT_UNTRUSTED`", "true", false},
	{"cert", aString, "", "Client certificate: the name of a secret.", "`tls_certificate_sds_secret_configs`", "client", false},
	{"min", aVersion, "1.2", "Least version.", "`tls_params.tls_minimum_protocol_version`", `"1.3"`, false},
	{"max", aVersion, "1.3", "Greatest version.", "`tls_params.tls_maximum_protocol_version`", `"1.2"`, false},
	{"suites", listOf(aSuite), "all of these", "Suites of TLS 1.2.", "`tls_params.cipher_suites`", "[ECDHE-RSA-AES256-GCM-SHA384]", false},
	{"curves", listOf(aCurve), "[X25519MLKEM768, X25519, P-256, P-384, P-521]", "Groups for the key exchange. Their order does not count: the safest and fastest that both sides have is taken.", "`tls_params.ecdh_curves`", "[X25519, P-256]", false},
	{"alpn", oneOrMore(one(protocolNames...)), "by `protocol`", "Application protocols that are asked for (RFC 7301). By default `h2` with `protocol: h2`, `[h2, http/1.1]` with `auto`, and none with `http/1.1`.", "`alpn_protocols`", "http/1.1", false},
	{"sessions", aWhole, "64", "Sessions that are kept for resumption, of all endpoints together (at most 65536); 0 turns it off.", "`max_session_keys`", "0", false},
	{"protocol", one("tls", "tlcp", "rfc8998"), "tls", "TLS 1.2 and 1.3; TLCP (GB/T 38636); or TLS 1.3 with TLS_SM4_GCM_SM3 alone (RFC 8998).", "extension `protocol`", "tlcp", false},
}}

// suiteNames are the suites of TLS 1.2 that are spoken, by both their names; the
// value is the one that xDS uses.
var suiteNames = map[string]string{
	"ECDHE-ECDSA-AES128-GCM-SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
	"ECDHE-RSA-AES128-GCM-SHA256":   "ECDHE-RSA-AES128-GCM-SHA256",
	"ECDHE-ECDSA-AES256-GCM-SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
	"ECDHE-RSA-AES256-GCM-SHA384":   "ECDHE-RSA-AES256-GCM-SHA384",
	"ECDHE-ECDSA-CHACHA20-POLY1305": "ECDHE-ECDSA-CHACHA20-POLY1305",
	"ECDHE-RSA-CHACHA20-POLY1305":   "ECDHE-RSA-CHACHA20-POLY1305",

	"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256":       "ECDHE-ECDSA-AES128-GCM-SHA256",
	"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256":         "ECDHE-RSA-AES128-GCM-SHA256",
	"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384":       "ECDHE-ECDSA-AES256-GCM-SHA384",
	"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384":         "ECDHE-RSA-AES256-GCM-SHA384",
	"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
	"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256":   "ECDHE-RSA-CHACHA20-POLY1305",
}

// curveNames are the groups of the key exchange.
var curveNames = []string{"X25519MLKEM768", "X25519", "P-256", "P-384", "P-521"}
