package harness

import (
	"fmt"
	"regexp"
	"strings"

	"longmen/bench/authority"
	"longmen/bench/load"
	"longmen/bench/peers"
	"longmen/bench/tlsclient"
)

// Case is one kind of work.
type Case struct {
	Name   string
	About  string
	Method string
	Path   string // behind the route's prefix
	Body   int64  // of the request, in bytes
	Length int64  // of the response, in bytes
	Conns  int
	New    bool
	Routes int  // 0 is a single host with the single route "/"
	Rates  bool // latency at fixed rates is measured, too
	Idle   bool // memory of idle connections instead of all the above

	TLS    tlsclient.Protocol // empty is none
	Key    authority.Kind     // of the certificates
	Certs  int                // names with a certificate each; 0 is one
	Resume bool               // handshakes by ticket
	Apart  bool               // in a layout where the proxy has its CPUs to itself
	Storm  bool               // latency of kept connections while others make handshakes
	Start  bool               // what starting with all the certificates takes

	HTTP2     bool   // clients speak it, and h2load is the load
	Streams   int    // requests at once on each of its connections
	Upstream2 bool   // the origin speaks it, too
	GRPC      bool   // requests are unary calls
	Levels    []int  // of an idle case: connections, each with Streams held requests
	Without   string // a peer that cannot do it
}

// Cases are all there is to measure.
func Cases() []Case {
	list := []Case{
		{Name: "get-1k", About: "1 KB GET, kept connections", Method: "GET", Path: "/1k", Length: 1 << 10, Conns: 128, Rates: true},
		{Name: "post-1k", About: "1 KB POST, 1 KB answer, kept connections", Method: "POST", Path: "/1k", Body: 1 << 10, Length: 1 << 10, Conns: 128, Rates: true},
		{Name: "get-64k", About: "64 KB GET, kept connections", Method: "GET", Path: "/64k", Length: 64 << 10, Conns: 64, Rates: true},
		{Name: "upload-10m", About: "10 MB POST, 1 KB answer, kept connections", Method: "POST", Path: "/1k", Body: 10 << 20, Length: 1 << 10, Conns: 8},
		{Name: "new-connection", About: "1 KB GET, a new connection for each", Method: "GET", Path: "/1k", Length: 1 << 10, Conns: 128, New: true, Rates: true},
		{Name: "idle", About: "memory of idle kept connections", Method: "GET", Path: "/1k", Length: 1 << 10, Idle: true},
	}
	for _, n := range []int{1, 100, 10_000, 100_000} {
		list = append(list, Case{
			Name: fmt.Sprintf("routes-%d", n), About: fmt.Sprintf("1 KB GET over %d routes by host and path", n),
			Method: "GET", Path: "/1k", Length: 1 << 10, Conns: 128, Routes: n,
		})
	}
	return append(append(list, tlsCases()...), http2Cases()...)
}

// http2Cases are those over HTTP/2.
func http2Cases() []Case {
	over2 := func(c Case) Case { c.HTTP2 = true; return c }
	grpc := func(c Case) Case { c.Upstream2, c.GRPC = true, true; return c }
	return []Case{
		over2(Case{Name: "h2-get-1k", About: "1 KB GET over HTTP/2, cleartext", Method: "GET", Path: "/1k", Length: 1 << 10, Conns: 32, Streams: 16, Rates: true}),
		over2(Case{Name: "h2-tls-get-1k", About: "1 KB GET over HTTP/2 and TLS 1.3", Method: "GET", Path: "/1k", Length: 1 << 10, Conns: 32, Streams: 16, Rates: true, TLS: tlsclient.TLS13, Key: authority.P256}),
		over2(Case{Name: "h2-get-64k", About: "64 KB GET over HTTP/2, cleartext", Method: "GET", Path: "/64k", Length: 64 << 10, Conns: 16, Streams: 4}),
		over2(Case{Name: "h2-upload-10m", About: "10 MB POST over HTTP/2, 1 KB answer", Method: "POST", Path: "/upload", Body: 10 << 20, Length: 1 << 10, Conns: 8, Streams: 1}),
		over2(Case{Name: "h2-download-10m", About: "10 MB GET over HTTP/2", Method: "GET", Path: "/b/10485760", Length: 10 << 20, Conns: 8, Streams: 1}),
		grpc(over2(Case{Name: "grpc-unary", About: "unary calls of 1 KB both ways, HTTP/2 to HTTP/2", Method: "POST", Path: "/bench.Bench/Unary", Body: 5 + 1<<10, Length: 5 + 1<<10, Conns: 32, Streams: 16, Rates: true})),
		over2(Case{Name: "h2-memory", About: "memory of connections with 10 open requests each, HTTP/1.1 to the origin", Method: "GET", Path: "/hold", Idle: true, Streams: 10, Levels: []int{400, 1000, 1600}}),
		over2(Case{Name: "h2-memory-h2", About: "memory of connections with 10 open requests each, HTTP/2 to the origin", Method: "GET", Path: "/hold", Idle: true, Streams: 10, Upstream2: true, Levels: []int{2500, 5000, 10_000}, Without: "nginx"}),
	}
}

// tlsCases are those over TLS.
func tlsCases() []Case {
	get := func(name, about, path string, length int64, conns int, protocol tlsclient.Protocol, key authority.Kind) Case {
		return Case{Name: name, About: about, Method: "GET", Path: path, Length: length, Conns: conns, TLS: protocol, Key: key}
	}
	handshake := func(name, about string, protocol tlsclient.Protocol, key authority.Kind) Case {
		c := get(name, about+": connection, handshake, 1 KB GET, close", "/1k", 1<<10, 64, protocol, key)
		c.New, c.Apart = true, true
		return c
	}
	resumed := func(c Case) Case { c.Resume = true; return c }
	rates := func(c Case) Case { c.Rates = true; return c }
	idle := get("tls-idle", "memory of idle TLS 1.3 connections", "/1k", 1<<10, 0, tlsclient.TLS13, authority.P256)
	idle.Idle = true
	storm := get("tls-storm", "1 KB GET over kept TLS 1.3 connections, calm and in a storm of full RSA-2048 handshakes", "/1k", 1<<10, 64, tlsclient.TLS13, authority.RSA2048)
	storm.Storm, storm.Apart = true, true
	start := func(name, about string, key authority.Kind) Case {
		c := get(name, about, "/1k", 1<<10, 64, tlsclient.TLS13, key)
		c.Start, c.New, c.Apart, c.Certs = true, true, true, 10_000
		return c
	}
	return []Case{
		handshake("tls-full-1.3-rsa", "TLS 1.3, RSA-2048", tlsclient.TLS13, authority.RSA2048),
		handshake("tls-full-1.3-p256", "TLS 1.3, P-256", tlsclient.TLS13, authority.P256),
		handshake("tls-full-1.2-rsa", "TLS 1.2, RSA-2048", tlsclient.TLS12, authority.RSA2048),
		handshake("tls-full-1.2-p256", "TLS 1.2, P-256", tlsclient.TLS12, authority.P256),
		resumed(handshake("tls-resumed-1.3", "TLS 1.3, resumed by ticket", tlsclient.TLS13, authority.RSA2048)),
		resumed(handshake("tls-resumed-1.2", "TLS 1.2, resumed by ticket", tlsclient.TLS12, authority.RSA2048)),
		rates(get("tls-get-1k", "1 KB GET over kept TLS 1.3 connections", "/1k", 1<<10, 128, tlsclient.TLS13, authority.P256)),
		get("tls-get-64k", "64 KB GET over kept TLS 1.3 connections", "/64k", 64<<10, 64, tlsclient.TLS13, authority.P256),
		get("tls-get-1m", "1 MB GET over kept TLS 1.3 connections", "/b/1048576", 1<<20, 16, tlsclient.TLS13, authority.P256),
		idle, storm,
		handshake("tls-full-tlcp", "TLCP (ECC_SM4_GCM_SM3)", tlsclient.TLCP, authority.SM2),
		get("tls-get-1k-tlcp", "1 KB GET over kept TLCP connections", "/1k", 1<<10, 128, tlsclient.TLCP, authority.SM2),
		handshake("tls-full-rfc8998", "TLS 1.3 with SM (RFC 8998)", tlsclient.RFC8998, authority.SM2),
		get("tls-get-1k-rfc8998", "1 KB GET over kept connections of TLS 1.3 with SM", "/1k", 1<<10, 128, tlsclient.RFC8998, authority.SM2),
		start("tls-start-p256", "start and memory with 10,000 P-256 certificates", authority.P256),
		start("tls-start-rsa", "start and memory with 10,000 RSA-2048 certificates", authority.RSA2048),
	}
}

// Select picks the case of that name or those that the regular expression
// matches; all when it is empty.
func Select(pattern string) ([]Case, error) {
	all := Cases()
	for _, c := range all {
		if c.Name == pattern {
			return []Case{c}, nil
		}
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	var names []string
	var picked []Case
	for _, c := range all {
		names = append(names, c.Name)
		if re.MatchString(c.Name) {
			picked = append(picked, c)
		}
	}
	if len(picked) == 0 {
		return nil, fmt.Errorf("no case matches %q; there are %s", pattern, strings.Join(names, ", "))
	}
	return picked, nil
}

// Hosts is the site of the case: routes spread over up to 1,000 hosts.
func (c Case) Hosts() []peers.Host {
	if c.Certs > 0 {
		hosts := make([]peers.Host, c.Certs)
		for i := range hosts {
			hosts[i] = peers.Host{Name: fmt.Sprintf("n%05d.bench.example.com", i), Prefixes: []string{"/"}}
		}
		return hosts
	}
	if c.Routes == 0 {
		return []peers.Host{{Name: "bench.example.com", Prefixes: []string{"/"}}}
	}
	perHost := 1
	for perHost < 100 && perHost*perHost < c.Routes {
		perHost *= 10
	}
	hosts := make([]peers.Host, c.Routes/perHost)
	for h := range hosts {
		hosts[h].Name = fmt.Sprintf("h%03d.bench.example.com", h)
		for p := range perHost {
			hosts[h].Prefixes = append(hosts[h].Prefixes, fmt.Sprintf("/r%02d", p))
		}
	}
	return hosts
}

// Targets ask for every route of the site once, in an order without pattern
// that is the same in every run.
func (c Case) Targets() []load.Target {
	var list []load.Target
	for _, h := range c.Hosts() {
		for _, p := range h.Prefixes {
			list = append(list, load.Target{Host: h.Name, Path: strings.TrimSuffix(p, "/") + c.Path})
		}
	}
	shuffled(list)
	return list
}
