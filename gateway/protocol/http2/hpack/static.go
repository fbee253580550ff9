package hpack

import "longmen/gateway/stream"

// staticEntry is an entry of the static table as a line of HTTP/1, which is how
// fields are held.
type staticEntry struct {
	line    string
	nameLen int
	id      stream.Known
}

const staticCount = 61

// staticTable is that of RFC 7541 appendix A; 0 is no index.
var staticTable = [staticCount + 1]staticEntry{
	1:  {":authority: \r\n", 10, stream.PseudoAuthority},
	2:  {":method: GET\r\n", 7, stream.PseudoMethod},
	3:  {":method: POST\r\n", 7, stream.PseudoMethod},
	4:  {":path: /\r\n", 5, stream.PseudoPath},
	5:  {":path: /index.html\r\n", 5, stream.PseudoPath},
	6:  {":scheme: http\r\n", 7, stream.PseudoScheme},
	7:  {":scheme: https\r\n", 7, stream.PseudoScheme},
	8:  {":status: 200\r\n", 7, stream.PseudoStatus},
	9:  {":status: 204\r\n", 7, stream.PseudoStatus},
	10: {":status: 206\r\n", 7, stream.PseudoStatus},
	11: {":status: 304\r\n", 7, stream.PseudoStatus},
	12: {":status: 400\r\n", 7, stream.PseudoStatus},
	13: {":status: 404\r\n", 7, stream.PseudoStatus},
	14: {":status: 500\r\n", 7, stream.PseudoStatus},
	15: {"accept-charset: \r\n", 14, stream.Other},
	16: {"accept-encoding: gzip, deflate\r\n", 15, stream.AcceptEncoding},
	17: {"accept-language: \r\n", 15, stream.Other},
	18: {"accept-ranges: \r\n", 13, stream.Other},
	19: {"accept: \r\n", 6, stream.Accept},
	20: {"access-control-allow-origin: \r\n", 27, stream.Other},
	21: {"age: \r\n", 3, stream.Other},
	22: {"allow: \r\n", 5, stream.Other},
	23: {"authorization: \r\n", 13, stream.Authorization},
	24: {"cache-control: \r\n", 13, stream.CacheControl},
	25: {"content-disposition: \r\n", 19, stream.Other},
	26: {"content-encoding: \r\n", 16, stream.ContentEncoding},
	27: {"content-language: \r\n", 16, stream.Other},
	28: {"content-length: \r\n", 14, stream.ContentLength},
	29: {"content-location: \r\n", 16, stream.Other},
	30: {"content-range: \r\n", 13, stream.Other},
	31: {"content-type: \r\n", 12, stream.ContentType},
	32: {"cookie: \r\n", 6, stream.Cookie},
	33: {"date: \r\n", 4, stream.Date},
	34: {"etag: \r\n", 4, stream.Other},
	35: {"expect: \r\n", 6, stream.Expect},
	36: {"expires: \r\n", 7, stream.Other},
	37: {"from: \r\n", 4, stream.Other},
	38: {"host: \r\n", 4, stream.Host},
	39: {"if-match: \r\n", 8, stream.Other},
	40: {"if-modified-since: \r\n", 17, stream.Other},
	41: {"if-none-match: \r\n", 13, stream.Other},
	42: {"if-range: \r\n", 8, stream.Other},
	43: {"if-unmodified-since: \r\n", 19, stream.Other},
	44: {"last-modified: \r\n", 13, stream.Other},
	45: {"link: \r\n", 4, stream.Other},
	46: {"location: \r\n", 8, stream.Location},
	47: {"max-forwards: \r\n", 12, stream.Other},
	48: {"proxy-authenticate: \r\n", 18, stream.ProxyAuthenticate},
	49: {"proxy-authorization: \r\n", 19, stream.ProxyAuthorization},
	50: {"range: \r\n", 5, stream.Other},
	51: {"referer: \r\n", 7, stream.Referer},
	52: {"refresh: \r\n", 7, stream.Other},
	53: {"retry-after: \r\n", 11, stream.RetryAfter},
	54: {"server: \r\n", 6, stream.Server},
	55: {"set-cookie: \r\n", 10, stream.SetCookie},
	56: {"strict-transport-security: \r\n", 25, stream.Other},
	57: {"transfer-encoding: \r\n", 17, stream.TransferEncoding},
	58: {"user-agent: \r\n", 10, stream.UserAgent},
	59: {"vary: \r\n", 4, stream.Other},
	60: {"via: \r\n", 3, stream.Via},
	61: {"www-authenticate: \r\n", 16, stream.Other},
}
