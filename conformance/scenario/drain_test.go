package scenario

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"longmen/conformance/harness"
)

const plain = `listeners:
  http: {bind: "@http@", routes: main}
routes:
  main: [{hosts: ["*"], rules: [{to: o}]}]
clusters:
  o: {endpoints: ["@o@"]}
`

func wantClose(t *testing.T, res *harness.Response) {
	t.Helper()
	if v, _ := res.Get("Connection"); !strings.EqualFold(v, "close") {
		t.Errorf("Connection: %q, want close", v)
	}
}

// TestDrain ends a gateway while connections are in every state that there is.
func TestDrain(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"SIGTERM", "SIGINT", "POST /drain"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			o := startHolding(t)
			g := serve(t, map[string]string{"o": o.Addr}, plain)

			idle := dial(t, g.Addr)
			idle.send("GET /idle HTTP/1.1\nHost: h\n\n")
			o.next().answer("idle")
			idle.response("GET")
			waiting := dial(t, g.Addr)
			waiting.send("GET /waiting HTTP/1.1\nHost: h\n\n")
			waits := o.next()
			reading := dial(t, g.Addr)
			reading.send("GET /reading HTTP/1.1\nHost: h\n\n")
			half := o.next()
			half.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234"))
			if _, _, err := reading.R.ResponseHead("GET"); err != nil {
				t.Fatal(err)
			}
			sending := dial(t, g.Addr)
			sending.send("POST /sending HTTP/1.1\nHost: h\nContent-Length: 4\n\nab")
			takes := o.next()
			head := dial(t, g.Addr)
			head.send("GET /head HTTP/1.1\nHo")
			// The beginning of a head is seen when the gateway counts its bytes no
			// later than this answer.
			dialAndAnswer(g, o)

			switch how {
			case "SIGTERM":
				g.signal(syscall.SIGTERM)
			case "SIGINT":
				g.signal(syscall.SIGINT)
			default:
				if status, body, err := g.admin("POST", "/drain"); err != nil || status/100 != 2 {
					t.Fatalf("POST /drain: %d %s %v", status, body, err)
				}
			}
			eventually(t, "/ready says 503", func() bool {
				status, body, err := g.adminGet("/ready")
				return err == nil && status == 503 && strings.Contains(body, "draining")
			})
			eventually(t, "new connections are refused", func() bool { return refused(g.Addr) })
			if !idle.ended() {
				t.Error("the idle connection stays")
			}
			if status, _, err := g.adminGet("/live"); err != nil || status != 200 {
				t.Errorf("/live: %d, %v", status, err)
			}
			if body := g.show("/drain"); !strings.Contains(body, "4") {
				t.Errorf("/drain does not tell the 4 connections: %s", body)
			}

			waits.answer("waited")
			res := waiting.response("GET")
			wantStatus(t, res, 200)
			wantClose(t, res)
			if !waiting.ended() {
				t.Error("the connection stays after its response")
			}
			half.Write([]byte("56789"))
			half.done()
			buf := make([]byte, 10)
			if n, err := readFull(reading, buf); err != nil || string(buf[:n]) != "0123456789" {
				t.Errorf("response under way: %q, %v", buf[:n], err)
			}
			if !reading.ended() {
				t.Error("the connection stays after its response")
			}
			sending.send("cd")
			takes.answer("taken")
			res = sending.response("POST")
			wantClose(t, res)
			if string(res.Body) != "taken" || string(takes.Request.Body) != "abcd" {
				t.Errorf("upload under way: %q, origin got %q", res.Body, takes.Request.Body)
			}
			head.send("st: h\n\n")
			o.next().answer("late")
			res = head.response("GET")
			wantStatus(t, res, 200)
			wantClose(t, res)
			if code := g.exit(); code != 0 {
				t.Errorf("exit code %d\n%s", code, g.out)
			}
			// What was logged last is not lost.
			lines := g.logged("/idle", "/waiting", "/reading", "/sending", "/head")
			for path, l := range lines {
				if l.Text("status") != "200" || l.Text("flag") != "-" && l.Text("flag") != "" {
					t.Errorf("%s: %v", path, l)
				}
			}
		})
	}
}

func dialAndAnswer(g *gateway, o *holding) {
	g.t.Helper()
	for range 8 { // enough to meet both workers
		c := dial(g.t, g.Addr)
		c.send("GET /before HTTP/1.1\nHost: h\nConnection: close\n\n")
		o.next().answer("x")
		c.response("GET")
		c.Close()
	}
}

func readFull(c *client, p []byte) (int, error) {
	n := 0
	for n < len(p) {
		k, err := c.R.Buf().Read(p[n:])
		n += k
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func TestDrainDeadline(t *testing.T) {
	t.Parallel()
	o := startHolding(t)
	w := startWeb(t, "w")
	g := serve(t, map[string]string{"o": o.Addr, "w": w.addr()}, `listeners:
  http: {bind: "@http@", routes: main}
routes:
  main: [{hosts: ["*"], rules: [{match: {path: /ws}, to: w}, {to: o}]}]
clusters:
  o: {endpoints: ["@o@"]}
  w: {endpoints: ["@w@"]}
drain: {timeout: 300ms}
`)
	stuck := dial(t, g.Addr)
	stuck.send("GET /stuck HTTP/1.1\nHost: h\n\n")
	o.next()
	chat, _, err := websocket.DefaultDialer.Dial("ws://"+g.Addr+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer chat.Close()
	g.signal(syscall.SIGTERM)
	if code := g.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if !stuck.Closed() {
		t.Error("the stuck connection stays")
	}
	chat.SetReadDeadline(time.Now().Add(patience))
	if _, _, err := chat.ReadMessage(); err == nil || harness.IsTimeout(err) {
		t.Errorf("the WebSocket stays: %v", err)
	}
	if !strings.Contains(g.out.String(), "deadline") {
		t.Error("the log does not tell of the deadline")
	}
	l := g.logged("/stuck", "/ws")
	if l["/stuck"].Text("flag") != "LR" || l["/stuck"].Text("side") != "local" || l["/stuck"].Text("cause") == "" {
		t.Errorf("/stuck: %v", l["/stuck"])
	}
}

func TestSecondSignal(t *testing.T) {
	t.Parallel()
	o := startHolding(t)
	g := serve(t, map[string]string{"o": o.Addr}, plain+"drain: {timeout: 1h}\n")
	stuck := dial(t, g.Addr)
	stuck.send("GET /stuck HTTP/1.1\nHost: h\n\n")
	o.next()
	g.signal(syscall.SIGTERM)
	eventually(t, "/ready says 503", func() bool {
		status, _, err := g.adminGet("/ready")
		return err == nil && status == 503
	})
	g.signal(syscall.SIGTERM)
	if code := g.exit(); code != 0 {
		t.Errorf("exit code %d\n%s", code, g.out)
	}
	if !stuck.Closed() {
		t.Error("the stuck connection stays")
	}
}

// TestRotation renames the access log under load; no line is lost.
func TestRotation(t *testing.T) {
	t.Parallel()
	o := named(t, "o")
	g := serve(t, map[string]string{"o": o.Addr}, plain)
	g.noLeak(o)
	c := dial(t, g.Addr)
	n := 0
	for turn := range 3 {
		for range 50 {
			wantStatus(t, c.get(fmt.Sprint("/r", n)), 200)
			n++
		}
		if err := os.Rename(g.Log, fmt.Sprintf("%s.%d", g.Log, turn)); err != nil {
			t.Fatal(err)
		}
		g.signal(syscall.SIGHUP)
		eventually(t, "the log is opened anew", func() bool {
			_, err := os.Stat(g.Log)
			return err == nil
		})
	}
	wantStatus(t, c.get("/last"), 200)
	g.logged("/last")
	var all strings.Builder
	for _, name := range []string{g.Log + ".0", g.Log + ".1", g.Log + ".2", g.Log} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	for i := range n {
		if got := strings.Count(all.String(), fmt.Sprintf(`"/r%d"`, i)); got != 1 {
			t.Fatalf("request %d has %d lines", i, got)
		}
	}
	if info, err := os.Stat(g.Log); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the new log: %v, %v", info.Mode(), err)
	}
}
