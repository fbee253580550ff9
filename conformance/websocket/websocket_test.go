package websocket

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	peer "github.com/gorilla/websocket"

	"longmen/conformance/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// play runs a scenario and returns the transcripts of both ends.
func play(s *scenario, addr string, srv *server) ([]string, error) {
	lines, err := s.run(addr)
	if err != nil || lines[0] != "status 101" {
		return lines, err
	}
	select {
	case log := <-srv.log(s.name):
		return append(append(lines, "-- server"), log...), nil
	case <-time.After(patience):
		return append(lines, "the server's side does not end"), nil
	}
}

func TestAsDirect(t *testing.T) {
	for _, kind := range harness.Kinds() {
		t.Run(kind, func(t *testing.T) {
			srv, err := startServer()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(srv.close)
			p := harness.Start(t, kind, srv.addr, harness.Options{})
			var verdicts []harness.Verdict
			var brake harness.Brake
			for _, s := range scenarios() {
				if s.full && !harness.Full() {
					continue
				}
				began := time.Now()
				verdicts = append(verdicts, harness.Verdict{Name: s.name, Fault: compare(t, s, srv, p)})
				brake.Took(t, kind, s.name, began)
			}
			harness.Report(t, "websocket", kind, verdicts)
		})
	}
}

func compare(t *testing.T, s *scenario, srv *server, p *harness.Proxy) string {
	t.Helper()
	direct, err := play(s, srv.addr, srv)
	if err != nil {
		t.Fatalf("%s, without a proxy: %v", s.name, err)
	}
	through, err := play(s, p.Addr, srv)
	if err != nil {
		return err.Error()
	}
	if slices.Equal(direct, through) {
		return ""
	}
	for i := range max(len(direct), len(through)) {
		a, b := at(direct, i), at(through, i)
		if a != b {
			return fmt.Sprintf("line %d is %s, without the proxy %s", i+1, b, a)
		}
	}
	return "differs"
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(none)"
}

// TestScenariosDirect holds the transcripts without a proxy against what RFC
// 6455 says, so that the comparison is with something true.
func TestScenariosDirect(t *testing.T) {
	srv, err := startServer()
	if err != nil {
		t.Fatal(err)
	}
	defer srv.close()
	want := map[string]string{
		"text-125":                `frame op=1 fin=true rsv=0 masked=false 125 bytes`,
		"text-not-utf8-0":         `close 1007 ""`,
		"fragments-ping-between":  `frame op=a fin=true rsv=0 masked=false "p"`,
		"close-1001":              `close 1001 "because"`,
		"close-wrong-1005":        `close 1002 ""`,
		"close-one-byte":          `close 1002 ""`,
		"half-close":              `frame op=1 fin=true rsv=0 masked=false "you have ended"`,
		"not-masked":              `close 1002 ""`,
		"rsv-4":                   `close 1002 ""`,
		"length-over-all-bounds":  `close 1009 ""`,
		"server-first":            `frame op=1 fin=true rsv=0 masked=false "first"`,
		"server-closes":           `close 1001 "going away"`,
		"server-half":             `frame op=1 fin=true rsv=0 "still here"`,
		"opening-protocol":        `Sec-Websocket-Protocol: ["chat"]`,
		"opening-version-8":       `status 426`,
		"deflate-1000":            `frame op=1 fin=true rsv=4`,
		"client-resets":           `reset`,
		"continuation-of-nothing": `close 1002 ""`,
	}
	for _, s := range scenarios() {
		line, ok := want[s.name]
		if !ok {
			continue
		}
		delete(want, s.name)
		got, err := play(s, srv.addr, srv)
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
		} else if !slices.ContainsFunc(got, func(l string) bool { return strings.HasPrefix(l, line) }) {
			t.Errorf("%s: no line %q in\n%s", s.name, line, strings.Join(got, "\n"))
		}
	}
	for name := range want {
		t.Errorf("no scenario %s", name)
	}
}

// TestIndependentPeer has both ends spoken by another implementation.
func TestIndependentPeer(t *testing.T) {
	up := peer.Upgrader{EnableCompression: true, Subprotocols: []string{"superchat"}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		for {
			kind, p, err := c.ReadMessage()
			if err != nil {
				return
			}
			if c.WriteMessage(kind, p) != nil {
				return
			}
		}
	}))
	defer srv.Close()
	for _, kind := range harness.Kinds() {
		t.Run(kind, func(t *testing.T) {
			p := harness.Start(t, kind, srv.Listener.Addr().String(), harness.Options{})
			for _, squeeze := range []bool{false, true} {
				echo(t, p.Addr, squeeze)
			}
		})
	}
}

func echo(t *testing.T, addr string, squeeze bool) {
	t.Helper()
	d := peer.Dialer{EnableCompression: squeeze, Subprotocols: []string{"chat", "superchat"}, HandshakeTimeout: patience}
	c, res, err := d.Dial("ws://"+addr+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(patience))
	if c.Subprotocol() != "superchat" {
		t.Errorf("subprotocol %q", c.Subprotocol())
	}
	if got := strings.Contains(res.Header.Get("Sec-Websocket-Extensions"), "permessage-deflate"); got != squeeze {
		t.Errorf("compression agreed: %v, want %v", got, squeeze)
	}
	for _, n := range []int{0, 125, 126, 65535, 65536, 1 << 20} {
		want := pattern(n)
		if err := c.WriteMessage(peer.BinaryMessage, want); err != nil {
			t.Fatal(err)
		}
		kind, got, err := c.ReadMessage()
		if err != nil || kind != peer.BinaryMessage || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes: kind %d, %d bytes back, %v", n, kind, len(got), err)
		}
	}
	c.WriteControl(peer.CloseMessage, peer.FormatCloseMessage(4001, "done"), time.Now().Add(patience))
	_, _, err = c.ReadMessage()
	if !peer.IsCloseError(err, 4001) {
		t.Errorf("ends with %v, want close 4001", err)
	}
}
