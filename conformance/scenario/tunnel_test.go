package scenario

import (
	"fmt"
	"io"
	"net"
	"testing"

	"longmen/conformance/harness"
)

const tunnels = `listeners:
  http:   {bind: "@http@", routes: main}
  closed: {bind: "@closed@", routes: main, upgrades: []}
routes:
  main:
    - hosts: ["*"]
      rules:
        - {connect: true, match: {headers: {x-tunnel: "yes"}}, to: raw}
        - {match: {prefix: /mqtt}, to: o, upgrades: [mqtt]}
        - {match: {prefix: /quiet}, to: o, idle_timeout: 300ms}
        - {to: o}
clusters:
  o: {endpoints: ["@o@"]}
  raw: {endpoints: ["@raw@"]}
`

// echo answers every byte with itself until the client ends its half.
func echo(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
				io.WriteString(c, "end")
			}()
		}
	}()
	return ln.Addr().String()
}

// TestTunnels asks for protocols that are allowed, and for others.
func TestTunnels(t *testing.T) {
	t.Parallel()
	o := startOrigin(t, func(x *harness.Exchange) {
		p, ok := x.Request.Get("Upgrade")
		if !ok || x.Request.Target == "/declined" {
			harness.Echo(x)
			return
		}
		fmt.Fprintf(x.Conn(), "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\nhello", p)
		io.Copy(x.Conn(), x.Conn())
		io.WriteString(x.Conn(), "end")
		x.Close()
	})
	g := serve(t, map[string]string{"o": o.Addr, "raw": echo(t)}, tunnels)
	g.noLeak(o)
	const ask = "GET %s HTTP/1.1\nHost: h\nConnection: Upgrade\nUpgrade: %s\n\n"
	// talk uses an open tunnel and ends it, half by half.
	talk := func(t *testing.T, c *client) {
		t.Helper()
		buf := make([]byte, 5)
		for _, said := range []string{"first", "again"} {
			c.send(said)
			if n, err := readFull(c, buf); err != nil || string(buf[:n]) != said {
				t.Fatalf("%q came back as %q, %v", said, buf[:n], err)
			}
		}
		c.CloseWrite()
		rest, err := io.ReadAll(c.R.Buf())
		if err != nil || string(rest) != "end" {
			t.Errorf("after the client's end: %q, %v", rest, err)
		}
	}
	for _, c := range []struct {
		listener, path, protocol string
		opens                    bool
	}{
		{"http", "/", "websocket", true},
		{"http", "/", "WebSocket", true},
		{"http", "/", "mqtt", false},
		{"http", "/mqtt", "mqtt", true},
		{"http", "/declined", "websocket", false},
		{"closed", "/", "websocket", false},
		{"closed", "/mqtt", "mqtt", true},
	} {
		t.Run(c.listener+c.path+"-"+c.protocol, func(t *testing.T) {
			x := dial(t, g.names[c.listener])
			defer x.Close()
			res := x.ask(fmt.Sprintf(ask, c.path, c.protocol))
			if !c.opens {
				wantStatus(t, res, 200)
				if _, ok := res.Get("Upgrade"); ok {
					t.Error("the client was offered an upgrade")
				}
				return
			}
			wantStatus(t, res, 101)
			hello := make([]byte, 5)
			if n, err := readFull(x, hello); err != nil || string(hello[:n]) != "hello" {
				t.Fatalf("the tunnel begins with %q, %v", hello[:n], err)
			}
			talk(t, x)
		})
	}
	t.Run("quiet", func(t *testing.T) {
		x := dial(t, g.Addr)
		wantStatus(t, x.ask(fmt.Sprintf(ask, "/quiet", "websocket")), 101)
		if !x.Closed() {
			t.Error("a tunnel in which nothing moves stays")
		}
		l := g.logged("/quiet")["/quiet"]
		if l.Text("flag") != "SI" || l.Text("phase") != "tunnel" {
			t.Errorf("%v", l)
		}
	})
	t.Run("connect", func(t *testing.T) {
		x := dial(t, g.Addr)
		x.send("CONNECT raw.example:1 HTTP/1.1\nHost: raw.example:1\nX-Tunnel: yes\n\n")
		head, _, err := x.R.ResponseHead("CONNECT")
		if err != nil || head.Status != 200 {
			t.Fatalf("%+v, %v", head, err)
		}
		talk(t, x)
		x.Close()
		wantStatus(t, g.ask("CONNECT raw.example:1 HTTP/1.1\nHost: raw.example:1\n\n"), 405)
		wantStatus(t, g.ask("GET / HTTP/1.1\nHost: h\nX-Tunnel: yes\n\n"), 200)
	})
	g.counts(map[string]float64{
		`longmen_downstream_tunnels_total{listener="http"}`:  5,
		`longmen_downstream_tunnels_active{listener="http"}`: 0,
	})
}
