package stream

import "testing"

func TestKnownNames(t *testing.T) {
	names := map[string]Known{
		"accept": Accept, "accept-encoding": AcceptEncoding, "authorization": Authorization, "cache-control": CacheControl, "cdn-loop": CDNLoop,
		"connection": Connection, "content-encoding": ContentEncoding, "content-length": ContentLength, "content-type": ContentType,
		"cookie": Cookie, "date": Date, "expect": Expect, "forwarded": Forwarded, "host": Host, "keep-alive": KeepAlive,
		"location": Location, "proxy-authenticate": ProxyAuthenticate, "proxy-authorization": ProxyAuthorization,
		"proxy-connection": ProxyConnection, "referer": Referer, "retry-after": RetryAfter, "server": Server,
		"set-cookie": SetCookie, "te": TE, "trailer": Trailer, "transfer-encoding": TransferEncoding, "upgrade": Upgrade,
		"user-agent": UserAgent, "via": Via, "x-forwarded-client-cert": XForwardedClientCert, "x-forwarded-for": XForwardedFor, "x-forwarded-host": XForwardedHost,
		":authority": PseudoAuthority, ":method": PseudoMethod, ":path": PseudoPath, ":protocol": PseudoProtocol, ":scheme": PseudoScheme,
		":status": PseudoStatus, "grpc-message": GrpcMessage, "grpc-status": GrpcStatus, "grpc-timeout": GrpcTimeout, "priority": Priority,
		"x-forwarded-port": XForwardedPort, "x-forwarded-proto": XForwardedProto, "x-request-id": XRequestID,
	}
	if len(names) != int(knownCount)-1 {
		t.Errorf("%d names here, %d in the list", len(names), knownCount-1)
	}
	if knownCount > 64 {
		t.Errorf("%d names do not fit Header's bits", knownCount)
	}
	for name, id := range names {
		if got := KnownName(name); got != id {
			t.Errorf("%s is %d, want %d", name, got, id)
		}
		if got := KnownName([]byte(name)); got != id {
			t.Errorf("%s as bytes is %d, want %d", name, got, id)
		}
		// One letter makes another name.
		for i := range name {
			other := name[:i] + "q" + name[i+1:]
			if got := KnownName(other); other != name && got != Other {
				t.Errorf("%s is %d", other, got)
			}
		}
		for _, other := range []string{name + "x", name[1:], "x" + name} {
			if got := KnownName(other); got != names[other] {
				t.Errorf("%s is %d", other, got)
			}
		}
	}
	if KnownName("") != Other {
		t.Error("no name is known")
	}
}
