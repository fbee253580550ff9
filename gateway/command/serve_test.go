package command

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// freePort is a port that nothing listened on a moment ago.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	client := http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	response, err := client.Get(url)
	must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	return response.StatusCode, string(body)
}

// The whole way: a file, a running gateway, the commands that ask it, a reload and
// the end.
func TestServe(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "origin got %s", r.URL.Path)
	}))
	defer origin.Close()
	dir := t.TempDir()
	file, socket := filepath.Join(dir, "gateway.yaml"), "unix:"+filepath.Join(dir, "admin")
	port := freePort(t)
	config := fmt.Sprintf(`workers: 1
admin: {bind: %q}
access_log: {path: %q, format: json}
listeners: {http: {bind: "127.0.0.1:%d", routes: all}}
routes:
  all:
    - hosts: ["*"]
      rules:
        - {match: {path: /answer}, respond: {status: 200, body: "first"}}
        - {to: web}
clusters: {web: {endpoints: [%q]}}
`, socket, filepath.Join(dir, "access.log"), port, strings.TrimPrefix(origin.URL, "http://"))
	write(t, file, config)
	log, signals, ended := newJournal(), make(chan os.Signal), make(chan error, 1)
	r := &runner{file: file, errOut: log}
	first := load(file, []byte(config), r.from, nil)
	if first.snapshot == nil {
		t.Fatal(first.problems)
	}
	go func() { ended <- r.run(context.Background(), first, startGateway, signals) }()
	log.wait(t, "msg=serving")

	base := fmt.Sprintf("http://127.0.0.1:%d", port)
	if status, body := get(t, base+"/x"); status != 200 || body != "origin got /x" {
		t.Errorf("%d %s", status, body)
	}
	if _, body := get(t, base+"/answer"); body != "first" {
		t.Error(body)
	}
	write(t, file, strings.ReplaceAll(config, `"first"`, `"second"`))
	log.wait(t, "configuration applied")
	if _, body := get(t, base+"/answer"); body != "second" {
		t.Error(body)
	}
	write(t, file, strings.ReplaceAll(config, "to: web", "to: wab"))
	log.wait(t, "is still serving")
	if _, body := get(t, base+"/answer"); body != "second" {
		t.Error(body)
	}

	old, next := filepath.Join(dir, "old.yaml"), filepath.Join(dir, "next.yaml")
	write(t, old, config)
	write(t, next, strings.ReplaceAll(config, fmt.Sprint("127.0.0.1:", port), fmt.Sprint("127.0.0.1:", port+1)))
	for line, want := range map[string]string{
		"explain -c " + old + " --admin " + socket + " " + base + "/x": "web  (1 of 1 healthy)",
		"dump --admin " + socket:                          "body: second",
		"dump --as xds --admin " + socket:                 `"virtualHosts"`,
		"diff --admin " + socket + " " + old + " " + next: "touched",
	} {
		if got := longmen(t, words(line)...); !strings.Contains(got, want) || !strings.HasSuffix(got, "exit 0\n") {
			t.Errorf("%s: want %q, got:\n%s", line, want, got)
		}
	}
	if got := longmen(t, "dump", "--admin", "unix:"+filepath.Join(dir, "nobody")); !strings.Contains(got, "no gateway answers") || !strings.HasSuffix(got, "exit 1\n") {
		t.Error(got)
	}

	signals <- syscall.SIGTERM
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatalf("does not end:\n%s", log)
	}
	lines, err := os.ReadFile(filepath.Join(dir, "access.log"))
	must(t, err)
	if !strings.Contains(string(lines), `"path":"/x"`) || !strings.Contains(string(lines), `gateway.yaml:10:`) {
		t.Errorf("the access log lacks something:\n%s", lines)
	}
}
