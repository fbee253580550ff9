package scenario

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"longmen/conformance/harness"
)

// TestForwardingFields looks at what the origin is told of the client.
func TestForwardingFields(t *testing.T) {
	t.Parallel()
	o := named(t, "o")
	g := serve(t, map[string]string{"o": o.Addr}, `listeners:
  plain:    {bind: "@plain@", routes: main}
  trusting: {bind: "@trusting@", routes: main, forwarded: {trusted_hops: 1, via: edge, rfc7239: true, request_id: preserve, request_id_in_response: true}}
  silent:   {bind: "@silent@", routes: main, forwarded: {x_forwarded_for: keep, request_id: off, via: off}, server: {header: set, name: edge}}
routes:
  main:
    - hosts: ["*"]
      rules:
        - {match: {prefix: /net, client: [203.0.113.0/24]}, respond: {status: 200, body: inside}}
        - {to: o, headers: {request: {set: {x-seen: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"}}}}
clusters:
  o: {endpoints: ["@o@"]}
`)
	g.noLeak(o)
	const uuid = `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`
	for _, c := range []struct {
		name, listener, fields string
		want                   map[string]string // regular expressions; "-" is absent
	}{
		{"bare", "plain", "", map[string]string{"X-Forwarded-For": `^127\.0\.0\.1$`, "X-Forwarded-Proto": `^http$`, "X-Forwarded-Host": `^h\.example:81$`,
			"Host": `^h\.example:81$`, "X-Request-Id": uuid, "Forwarded": "-", "X-Seen": `^127\.0\.0\.1$`}},
		{"untrusted", "plain", "X-Forwarded-For: 203.0.113.7\nX-Forwarded-Proto: https\nX-Forwarded-Host: evil\nX-Request-Id: mine\n", map[string]string{
			"X-Forwarded-For": `^203\.0\.113\.7, 127\.0\.0\.1$`, "X-Forwarded-Proto": `^http$`, "X-Forwarded-Host": `^h\.example:81$`, "X-Request-Id": uuid, "X-Seen": `^127\.0\.0\.1$`}},
		{"trusted", "trusting", "X-Forwarded-For: 198.51.100.1, 203.0.113.7\nX-Forwarded-Proto: https\nX-Forwarded-Host: front\nX-Request-Id: mine\nVia: 1.1 front\nForwarded: for=203.0.113.7\n", map[string]string{
			"X-Forwarded-For": `^198\.51\.100\.1, 203\.0\.113\.7, 127\.0\.0\.1$`, "X-Forwarded-Proto": `^https$`, "X-Forwarded-Host": `^front$`, "X-Request-Id": `^mine$`,
			"Via": `^1\.1 front, 1\.1 edge$`, "Forwarded": `^for=203\.0\.113\.7, for=127\.0\.0\.1;host="h\.example:81";proto=http$`, "X-Seen": `^203\.0\.113\.7$`}},
		{"trusted-several-fields", "trusting", "X-Forwarded-For: 198.51.100.1\nX-Forwarded-For: 203.0.113.8\n", map[string]string{
			"X-Forwarded-For": `^198\.51\.100\.1, 203\.0\.113\.8, 127\.0\.0\.1$`, "X-Seen": `^203\.0\.113\.8$`, "X-Request-Id": uuid}},
		{"trusted-nonsense", "trusting", "X-Forwarded-For: unknown\n", map[string]string{"X-Forwarded-For": `^unknown, 127\.0\.0\.1$`, "X-Seen": `^127\.0\.0\.1$`}},
		{"silent", "silent", "X-Forwarded-For: 203.0.113.7\n", map[string]string{"X-Forwarded-For": `^203\.0\.113\.7$`, "X-Request-Id": "-", "Via": "-", "Forwarded": "-"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o.Reset()
			res := g.askAt(c.listener, "GET / HTTP/1.1\nHost: h.example:81\n"+c.fields+"\n")
			wantStatus(t, res, 200)
			r := o.Record().Requests[0]
			for name, want := range c.want {
				got, ok := r.Get(name)
				if want == "-" && ok || want != "-" && !regexp.MustCompile(want).MatchString(got) {
					t.Errorf("%s: %q, want %s", name, got, want)
				}
			}
			if c.listener == "trusting" {
				up, _ := r.Get("X-Request-Id")
				down, _ := res.Get("X-Request-Id")
				via, _ := res.Get("Via")
				if up != down || via != "1.1 edge" {
					t.Errorf("the response has id %q (the request %q), Via %q", down, up, via)
				}
			}
			if server, _ := res.Get("Server"); c.listener == "silent" && server != "edge" {
				t.Errorf("Server: %q", server)
			}
		})
	}
	if res := g.askAt("trusting", "GET /net HTTP/1.1\nHost: h\nX-Forwarded-For: 203.0.113.9\n\n"); string(res.Body) != "inside" {
		t.Errorf("match by the trusted client's network: %d %q", res.Status, res.Body)
	}
	if res := g.askAt("plain", "GET /net HTTP/1.1\nHost: h\nX-Forwarded-For: 203.0.113.9\n\n"); string(res.Body) == "inside" {
		t.Error("an untrusted client chose its network")
	}
}

// TestHopByHop looks at fields that belong to one connection only.
func TestHopByHop(t *testing.T) {
	t.Parallel()
	o := startOrigin(t, func(x *harness.Exchange) {
		x.ReadBody()
		x.Write([]byte("HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Private\r\nKeep-Alive: timeout=5\r\nX-Private: p\r\nProxy-Authenticate: Basic realm=x\r\nX-Public: q\r\nContent-Length: 0\r\n\r\n"))
	})
	g := serve(t, map[string]string{"o": o.Addr}, plain)
	g.noLeak(o)
	res := g.ask("GET / HTTP/1.1\nHost: h\nConnection: keep-alive, x-mine, TE\nKeep-Alive: 300\nProxy-Connection: keep-alive\nTE: trailers, deflate;q=0.5\nX-Mine: m\nX-Other: o\nUpgrade: h2c\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\n\n")
	r := o.Record().Requests[0]
	for _, name := range []string{"Keep-Alive", "Proxy-Connection", "X-Mine", "Upgrade"} {
		if v, ok := r.Get(name); ok {
			t.Errorf("the origin got %s: %s", name, v)
		}
	}
	for _, v := range r.Values("Connection") {
		if !strings.EqualFold(v, "keep-alive") && !strings.EqualFold(v, "te") {
			t.Errorf("the origin got Connection: %s", v)
		}
	}
	if v, ok := r.Get("TE"); ok && v != "trailers" {
		t.Errorf("the origin got TE: %s", v)
	}
	if v, _ := r.Get("X-Other"); v != "o" {
		t.Errorf("X-Other: %q", v)
	}
	for _, name := range []string{"Keep-Alive", "X-Private"} {
		if v, ok := res.Get(name); ok {
			t.Errorf("the client got %s: %s", name, v)
		}
	}
	if v, _ := res.Get("X-Public"); v != "q" {
		t.Errorf("X-Public: %q", v)
	}
}

// TestMessages carries messages of every shape through the gateway.
func TestMessages(t *testing.T) {
	t.Parallel()
	o := startOrigin(t, func(x *harness.Exchange) {
		switch path, _, _ := strings.Cut(x.Request.Target, "?"); path {
		case "/trailers":
			if x.ReadBody() == nil {
				x.Write([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n4\r\nbody\r\n0\r\nX-Sum: 42\r\n\r\n"))
			}
		case "/continue":
			x.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
			harness.Echo(x)
		case "/refuse":
			x.Write([]byte("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"))
			x.Close()
		case "/hints":
			x.Write([]byte("HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"))
			x.Write([]byte("HTTP/1.1 103 Early Hints\r\nLink: </script.js>; rel=preload\r\n\r\n"))
			harness.Echo(x)
		case "/204":
			x.Write([]byte("HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n"))
		case "/304":
			x.Write([]byte("HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 1234\r\n\r\n"))
		case "/head":
			x.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n"))
		case "/chunked":
			x.Write([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"))
		case "/close":
			x.Write([]byte("HTTP/1.0 200 OK\r\n\r\nuntil the end"))
			x.Close()
		default:
			harness.Echo(x)
		}
	})
	g := serve(t, map[string]string{"o": o.Addr}, plain)
	g.noLeak(o)
	one := func(t *testing.T) *harness.Request {
		t.Helper()
		rec := o.Record()
		if len(rec.Requests) != 1 || len(rec.Violations) > 0 {
			t.Fatalf("the origin got %d requests, violations %v", len(rec.Requests), rec.Violations)
		}
		return rec.Requests[0]
	}
	for _, c := range []struct {
		name string
		run  func(t *testing.T, c *client)
	}{
		{"trailers", func(t *testing.T, c *client) {
			res := c.ask("POST /trailers HTTP/1.1\nHost: h\nTE: trailers\nConnection: TE\nTransfer-Encoding: chunked\nTrailer: X-Check\n\n3;ext=1\nabc\n0\nX-Check: 7\n\n")
			r := one(t)
			if string(r.Body) != "abc" || !slices.Equal(r.Trailers, []harness.Field{{Name: "X-Check", Value: "7"}}) && !slices.Equal(r.Trailers, []harness.Field{{Name: "x-check", Value: "7"}}) {
				t.Errorf("the origin got %q with trailers %v", r.Body, r.Trailers)
			}
			if string(res.Body) != "body" || len(res.Trailers) != 1 || !strings.EqualFold(res.Trailers[0].Name, "x-sum") || res.Trailers[0].Value != "42" {
				t.Errorf("the client got %q with trailers %v", res.Body, res.Trailers)
			}
		}},
		{"continue", func(t *testing.T, c *client) {
			c.send("POST /continue HTTP/1.1\nHost: h\nContent-Length: 4\nExpect: 100-continue\n\n")
			head, _, err := c.R.ResponseHead("POST")
			if err != nil || head.Status != 100 {
				t.Fatalf("%+v, %v", head, err)
			}
			if r := one(t); r.Complete {
				t.Error("the body was complete before it was sent")
			} else if v, _ := r.Get("Expect"); v != "100-continue" {
				t.Errorf("the origin got Expect: %q", v)
			}
			c.send("body")
			wantStatus(t, c.response("POST"), 200)
			if r := one(t); string(r.Body) != "body" {
				t.Errorf("the origin got %q", r.Body)
			}
		}},
		{"expectation-refused", func(t *testing.T, c *client) {
			res := c.ask("POST /refuse HTTP/1.1\nHost: h\nContent-Length: 4\nExpect: 100-continue\n\n")
			wantStatus(t, res, 417)
			if len(res.Informational) > 0 {
				t.Errorf("informational %v before the refusal", res.Informational)
			}
		}},
		{"early-hints", func(t *testing.T, c *client) {
			c.send("GET /hints HTTP/1.1\nHost: h\n\n")
			for _, want := range []string{"</style.css>; rel=preload", "</script.js>; rel=preload"} {
				head, _, err := c.R.ResponseHead("GET")
				if err != nil || head.Status != 103 {
					t.Fatalf("%+v, %v", head, err)
				}
				if link, _ := head.Get("Link"); link != want {
					t.Errorf("Link: %q, want %q", link, want)
				}
			}
			wantStatus(t, c.response("GET"), 200)
		}},
		{"early-hints-1.0", func(t *testing.T, c *client) {
			if res := c.ask("GET /hints HTTP/1.0\nHost: h\n\n"); len(res.Informational) > 0 || res.Status != 200 {
				t.Errorf("an HTTP/1.0 client got %v %d", res.Informational, res.Status)
			}
		}},
		{"head", func(t *testing.T, c *client) {
			res := c.ask("HEAD /head HTTP/1.1\nHost: h\n\n")
			if v, _ := res.Get("Content-Length"); v != "1234" || len(res.Body) > 0 {
				t.Errorf("Content-Length %q, body %q", v, res.Body)
			}
		}},
		{"204", func(t *testing.T, c *client) {
			res := c.ask("GET /204 HTTP/1.1\nHost: h\n\n")
			wantStatus(t, res, 204)
			if v, _ := res.Get("X-A"); v != "b" {
				t.Errorf("X-A: %q", v)
			}
		}},
		{"304", func(t *testing.T, c *client) {
			res := c.ask("GET /304 HTTP/1.1\nHost: h\n\n")
			wantStatus(t, res, 304)
			if v, _ := res.Get("ETag"); v != `"x"` {
				t.Errorf("ETag: %q", v)
			}
		}},
		{"absolute-form", func(t *testing.T, c *client) {
			c.ask("GET http://other.example:99/p?q HTTP/1.1\nHost: h\n\n")
			r := one(t)
			if host, _ := r.Get("Host"); r.Target != "/p?q" || host != "other.example:99" {
				t.Errorf("the origin got %s, Host %s", r.Target, host)
			}
		}},
		{"options-asterisk", func(t *testing.T, c *client) {
			wantStatus(t, c.ask("OPTIONS * HTTP/1.1\nHost: h\n\n"), 200)
			if r := one(t); r.Target != "*" {
				t.Errorf("the origin got %s", r.Target)
			}
		}},
		{"unknown-upgrade", func(t *testing.T, c *client) {
			wantStatus(t, c.ask("GET /u HTTP/1.1\nHost: h\nConnection: Upgrade\nUpgrade: mqtt\n\n"), 200)
			if v, ok := one(t).Get("Upgrade"); ok {
				t.Errorf("the origin was asked to upgrade to %s", v)
			}
		}},
		{"pipeline", func(t *testing.T, c *client) {
			c.send("GET /1 HTTP/1.1\nHost: h\n\nPOST /2 HTTP/1.1\nHost: h\nContent-Length: 2\n\nab\n\nGET /3 HTTP/1.1\nHost: h\n\n")
			for i, method := range []string{"GET", "POST", "GET"} {
				if got, want := string(c.response(method).Body), fmt.Sprintf("origin %s /%d", method, i+1); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
			o.Reset()
			c.get("/") // for the check below
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o.Reset()
			x := dial(t, g.Addr)
			c.run(t, x)
			one(t)
			x.Close()
		})
	}
	t.Run("connect", func(t *testing.T) {
		o.Reset()
		res := g.ask("CONNECT h.example:443 HTTP/1.1\nHost: h.example:443\n\n")
		wantStatus(t, res, 405)
		if v, _ := res.Get("Allow"); v == "" {
			t.Error("no Allow field")
		}
		if n := len(o.Record().Requests); n > 0 {
			t.Errorf("the origin got %d requests", n)
		}
	})
	t.Run("http-1.0", func(t *testing.T) {
		c := dial(t, g.Addr)
		res := c.ask("GET /chunked HTTP/1.0\n\n")
		if te, ok := res.Get("Transfer-Encoding"); ok || string(res.Body) != "hello" {
			t.Errorf("an HTTP/1.0 client got Transfer-Encoding %q, body %q", te, res.Body)
		}
		if !c.ended() {
			t.Error("the connection of an HTTP/1.0 client stays")
		}
		c = dial(t, g.Addr)
		for range 2 {
			res = c.ask("GET /x HTTP/1.0\nHost: h\nConnection: keep-alive\n\n")
			if v, _ := res.Get("Connection"); !strings.EqualFold(v, "keep-alive") {
				t.Errorf("Connection: %q", v)
			}
		}
		c.Close()
	})
	t.Run("until-close", func(t *testing.T) {
		c := dial(t, g.Addr)
		res := c.get("/close")
		if string(res.Body) != "until the end" || res.Framing.Kind != harness.Chunked {
			t.Errorf("body %q, framing %v", res.Body, res.Framing)
		}
		if string(c.get("/after").Body) != "origin GET /after" {
			t.Error("the connection does not go on")
		}
		c.Close()
	})
}
