package scenario

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"longmen/conformance/harness"
)

// change writes a configuration and waits until the gateway has said what it
// makes of it.
func (g *gateway) change(text, says string) {
	g.t.Helper()
	before := g.out.count(says)
	next := g.file + ".next"
	if err := os.WriteFile(next, []byte(g.config(text)), 0o644); err != nil {
		g.t.Fatal(err)
	}
	if err := os.Rename(next, g.file); err != nil {
		g.t.Fatal(err)
	}
	eventually(g.t, says, func() bool { return g.out.count(says) > before })
}

const applied = "configuration applied"

// TestChangesUnderWay changes what requests under way stand on.
func TestChangesUnderWay(t *testing.T) {
	t.Parallel()
	o := startHolding(t)
	other := named(t, "other")
	g := serve(t, map[string]string{"o": o.Addr, "other": other.Addr}, plain)
	start := func(path string) (*client, *held) {
		c := dial(t, g.Addr)
		c.send("GET " + path + " HTTP/1.1\nHost: h\n\n")
		return c, o.next()
	}
	finish := func(t *testing.T, c *client, r *held, goesOn bool) {
		t.Helper()
		r.answer("as begun")
		res := c.response("GET")
		if res.Status != 200 || string(res.Body) != "as begun" {
			t.Errorf("%d %q", res.Status, res.Body)
		}
		if goesOn {
			if _, closes := res.Get("Connection"); closes {
				t.Error("the connection is to be closed")
			}
			if got := string(c.get("/next").Body); got != "other GET /next" {
				t.Errorf("the next request is answered by %q", got)
			}
			c.Close()
			return
		}
		wantClose(t, res)
		if !c.ended() {
			t.Error("the connection stays")
		}
	}
	// Another endpoint.
	c, r := start("/endpoint")
	g.change(strings.Replace(plain, "@o@", "@other@", 1), applied)
	finish(t, c, r, true)
	eventually(t, "connections to an endpoint that is gone are closed", func() bool { return o.Open() == 0 })
	// Another cluster, and the old one is gone.
	g.change(plain, applied)
	c, r = start("/cluster")
	g.change(strings.NewReplacer("to: o", "to: p", "  o: {endpoints: [\"@o@\"]}", "  p: {endpoints: [\"@other@\"]}").Replace(plain), applied)
	finish(t, c, r, true)
	eventually(t, "connections of a cluster that is gone are closed", func() bool { return o.Open() == 0 })
	// Another route that does not match.
	g.change(plain, applied)
	c, r = start("/route")
	g.change(strings.Replace(plain, "rules: [{to: o}]", "rules: [{match: {path: /next}, to: p}]", 1)+"  p: {endpoints: [\"@other@\"]}\n", applied)
	finish(t, c, r, true)
	// Another address: the old one drains.
	g.change(plain, applied)
	c, r = start("/address")
	idle := dial(t, g.Addr)
	idle.send("GET /idle HTTP/1.1\nHost: h\n\n")
	o.next().answer("idle")
	idle.response("GET")
	g.change(strings.Replace(plain, "@http@", "@moved@", 1), applied)
	eventually(t, "the old address refuses", func() bool { return refused(g.Addr) })
	moved := dial(t, g.names["moved"])
	moved.send("GET /moved HTTP/1.1\nHost: h\n\n")
	o.next().answer("moved")
	wantStatus(t, moved.response("GET"), 200)
	t.Run("moved", func(t *testing.T) {
		if !idle.ended() {
			t.Error("an idle connection of a removed address stays")
		}
		finish(t, c, r, false)
	})
	moved.Close()
	// Back again, and the listener goes while a request is under way.
	g.change(plain, applied)
	c, r = start("/listener")
	g.change(strings.NewReplacer("  http: {", "  again: {", "@http@", "@moved@").Replace(plain), applied)
	finish(t, c, r, false)
	if f := g.failures(); f != nil {
		t.Errorf("failed requests: %v", f)
	}
}

// TestChangesThatFail changes nothing when a configuration is good and the
// machine is not.
func TestChangesThatFail(t *testing.T) {
	t.Parallel()
	o := named(t, "o")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	g := serve(t, map[string]string{"o": o.Addr, "taken": taken.Addr().String()}, plain)
	g.noLeak(o)
	c := dial(t, g.Addr)
	wantStatus(t, c.get("/"), 200)
	twoListeners := strings.Replace(plain, "routes:\n", "  more: {bind: \"@more@\", routes: main}\n  bad: {bind: \"@taken@\", routes: main}\nroutes:\n", 1)
	for name, text := range map[string]string{
		"address": twoListeners,
		"log":     strings.Replace(plain, "routes: main}", "routes: main, access_log: {path: /nowhere/at/all.log}}", 1),
	} {
		g.change(text, "nothing was changed")
		if got := string(c.get("/").Body); got != "o GET /" {
			t.Errorf("%s: %q", name, got)
		}
	}
	if !refused(g.names["more"]) {
		t.Error("a listener of a configuration that was not applied is open")
	}
	g.change("listeners: {", "nothing was changed")
	if err := os.Truncate(g.file, 0); err != nil {
		t.Fatal(err)
	}
	g.signal(syscall.SIGHUP)
	eventually(t, "an empty file is reported", func() bool { return g.out.count("the configuration is empty") > 0 })
	g.counts(map[string]float64{
		`longmen_config_reloads_total{result="failure"}`: 4,
		`longmen_config_reloads_total{result="success"}`: 1,
		`longmen_config_last_reload_successful`:          0,
	})
	// The same one again is good, and no change.
	g.change(plain+"\n# touched\n", "nothing has changed")
	g.counts(map[string]float64{`longmen_config_last_reload_successful`: 1})
	// A missing file is waited for.
	if err := os.Rename(g.file, g.file+".away"); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, c.get("/"), 200)
	g.signal(syscall.SIGHUP)
	eventually(t, "a missing file is reported", func() bool { return g.out.count("cannot be read") > 0 })
	g.change(strings.Replace(plain, "rules: [{to: o}]", "rules: [{respond: {status: 204}}]", 1), applied)
	wantStatus(t, c.get("/"), 204)
	c.Close()
}

// TestAddresses serves on several addresses of both families.
func TestAddresses(t *testing.T) {
	t.Parallel()
	o := named(t, "o")
	g := serve(t, map[string]string{"o": o.Addr}, strings.Replace(plain, `bind: "@http@"`, `bind: ["@http@", "@second@"]`, 1))
	for _, name := range []string{"http", "second"} {
		if got := string(g.askAt(name, "GET / HTTP/1.1\nHost: h\n\n").Body); got != "o GET /" {
			t.Errorf("%s: %q", name, got)
		}
	}
	// All of the host: the port alone.
	_, port, _ := strings.Cut(g.names["second"], ":")
	g.names["port"] = port
	g.change(strings.Replace(plain, `bind: "@http@"`, `bind: ["@http@", ":@port@"]`, 1), applied)
	for _, host := range []string{"127.0.0.1", "[::1]", "127.0.0.2"} {
		c, err := harness.Dial(host + ":" + port)
		if err != nil {
			if host == "[::1]" {
				t.Logf("no IPv6 here: %v", err)
				continue
			}
			t.Fatal(err)
		}
		x := &client{c, t}
		if got := string(x.get("/").Body); got != "o GET /" {
			t.Errorf("%s: %q", host, got)
		}
		x.Close()
	}
	l := filepath.Join(g.dir, "access.log")
	eventually(t, "the clients' addresses are logged as IPv4", func() bool {
		b, _ := os.ReadFile(l)
		return strings.Contains(string(b), `"client":"127.0.0.1"`) && !strings.Contains(string(b), "::ffff")
	})
}
