package command

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// startDemo serves the named origins on ports that the kernel chooses. The returned
// function stops them and gives what serveDemo returned.
func startDemo(t *testing.T, names ...string) (urls []string, stop func() error) {
	t.Helper()
	var addresses []demoAddress
	for _, name := range names {
		addresses = append(addresses, demoAddress{name, "127.0.0.1:0"})
	}
	listeners, err := listenDemo(addresses)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range listeners {
		urls = append(urls, "http://"+l.socket.Addr().String())
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serveDemo(ctx, io.Discard, listeners) }()
	stopped := false
	stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		http.DefaultClient.CloseIdleConnections()
		cancel()
		return <-ended
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("serveDemo: %v", err)
		}
	})
	return urls, stop
}

func demoRequest(t *testing.T, method, url, body string, headers ...string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header[headers[i]] = append(request.Header[headers[i]], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(got)
}

func TestDemoTellsWhatItReceived(t *testing.T) {
	urls, _ := startDemo(t, "web", "api")
	for i, name := range []string{"web", "api"} {
		status, body := demoRequest(t, "PUT", urls[i]+"/a/b?c=d", "12345", "x-Odd-cAse", "one", "x-Odd-cAse", "two")
		var got demoAnswer
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatalf("%v in %s", err, body)
		}
		if status != 200 || got.Origin != name || got.Method != "PUT" || got.Target != "/a/b?c=d" || got.Body != 5 {
			t.Errorf("%d %+v", status, got)
		}
		if v := got.Headers["x-Odd-cAse"]; len(v) != 2 || v[0] != "one" || v[1] != "two" {
			t.Errorf("headers %v", got.Headers)
		}
		if v := got.Headers["Host"]; len(v) != 1 || "http://"+v[0] != urls[i] {
			t.Errorf("Host %v, want %s", v, urls[i])
		}
	}
}

func TestDemoPaths(t *testing.T) {
	urls, _ := startDemo(t, "cart")
	big := strings.Repeat("x", demoMaxBody)
	for _, test := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/healthz", "", 200, "healthy"},
		{"POST", "/healthz/fail", "", 200, "failing"},
		{"GET", "/healthz", "", 503, "failing"},
		{"GET", "/healthz/pass", "", 200, `"target": "/healthz/pass"`}, // a GET changes nothing
		{"GET", "/healthz", "", 503, "failing"},
		{"POST", "/healthz/pass", "", 200, "healthy"},
		{"GET", "/healthz", "", 200, "healthy"},
		{"GET", "/slow?ms=1", "", 200, `"origin": "cart"`},
		{"GET", "/slow?ms=10001", "", 400, "from 0 to 10000"},
		{"GET", "/slow?ms=-1", "", 400, "from 0 to 10000"},
		{"GET", "/slow", "", 400, "from 0 to 10000"},
		{"GET", "/status/418", "", 418, `"origin": "cart"`},
		{"GET", "/status/204", "", 204, ""},
		{"GET", "/status/199", "", 400, "from 200 to 599"},
		{"GET", "/status/600", "", 400, "from 200 to 599"},
		{"GET", "/status/x", "", 400, "from 200 to 599"},
		{"POST", "/echo", "hello", 200, "hello"},
		{"POST", "/echo", big, 200, big},
	} {
		status, body := demoRequest(t, test.method, urls[0]+test.path, test.body)
		if status != test.status || !strings.Contains(body, test.want) {
			t.Errorf("%s %s: %d %.200q, want %d and %.200q", test.method, test.path, status, body, test.status, test.want)
		}
	}
}

// What these clients send is all read before the answer, so that no reset can overtake it.
func TestDemoRefusesWhatIsTooLarge(t *testing.T) {
	urls, _ := startDemo(t, "web")
	head := "GET / HTTP/1.1\r\nHost: x\r\nX-Big: "
	for request, want := range map[string]int{
		fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", demoMaxBody+1): 413,
		head + strings.Repeat("x", demoMaxHead-len(head)):                                      431,
		"GET / HTTP/1.1\r\nno colon\r\n\r\n":                                                   400,
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(urls[0], "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _ = response.Body.Close(); response.StatusCode != want {
			t.Errorf("%.40q: %s, want %d", request, response.Status, want)
		}
	}
}

func TestDemoPortInUse(t *testing.T) {
	taken, err := listenDemo([]demoAddress{{"first", "127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken[0].socket.Close() }()
	address := taken[0].socket.Addr().String()
	_, err = listenDemo([]demoAddress{{"free", "127.0.0.1:0"}, {"second", address}})
	if want := "demo origin second: " + address + " is already in use"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestDemoStops(t *testing.T) {
	urls, stop := startDemo(t, "web", "api")
	demoRequest(t, "GET", urls[0], "") // leaves an idle connection behind
	if err := stop(); err != nil {
		t.Error(err)
	}
	for _, url := range urls {
		if response, err := http.Get(url); err == nil {
			_ = response.Body.Close()
			t.Errorf("%s still answers", url)
		}
	}
}

// A stop need not wait for /slow: it ends at once, with 503.
func TestDemoSlowEndsWithTheServer(t *testing.T) {
	listeners, err := listenDemo([]demoAddress{{"web", "127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	stopping := make(chan struct{})
	close(stopping)
	server := newDemoServer(&demoOrigin{name: "web", stopping: stopping})
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listeners[0].socket) }()
	if status, body := demoRequest(t, "GET", "http://"+listeners[0].socket.Addr().String()+"/slow?ms=10000", ""); status != 503 {
		t.Errorf("%d %s, want 503", status, body)
	}
	if err := server.Shutdown(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// The example and the demo go together: every origin is in use, and no endpoint is without one.
func TestDemoServesTheEndpointsOfTheExample(t *testing.T) {
	source, err := os.ReadFile("../../gateway.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var example struct {
		Clusters map[string]struct{ Endpoints []string }
	}
	if err := yaml.Unmarshal(source, &example); err != nil {
		t.Fatal(err)
	}
	var named, served []string
	for _, c := range example.Clusters {
		named = append(named, c.Endpoints...)
	}
	for _, a := range demoAddresses {
		served = append(served, a.address)
	}
	slices.Sort(named)
	slices.Sort(served)
	if !slices.Equal(named, served) {
		t.Errorf("gateway.yaml names the endpoints %v, the demo serves %v", named, served)
	}
}

func TestDemoCommandHelpNamesEveryOrigin(t *testing.T) {
	cmd := demoCommand()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"--help"})
	if err := cmd.Execute(); err != nil {
		t.Fatal(err)
	}
	for _, a := range demoAddresses {
		if port := strings.TrimPrefix(a.address, "127.0.0.1:"); !strings.Contains(out.String(), a.name+" on ") || !strings.Contains(out.String(), port) {
			t.Errorf("help does not name %s on %s:\n%s", a.name, port, out.String())
		}
	}
}
