package harness

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The proxies that the harness can start.
const (
	Longmen = "longmen"
	Nginx   = "nginx"
	HAProxy = "haproxy"
)

// Kinds returns the proxies to test: those of $LONGMEN_PROXY, a list with
// commas, or Longmen alone.
func Kinds() []string {
	if s := os.Getenv("LONGMEN_PROXY"); s != "" {
		return strings.Split(s, ",")
	}
	return []string{Longmen}
}

func selected(kind string) bool { return slices.Contains(Kinds(), kind) }

// Options are what a suite may want different from the plain proxy.
type Options struct {
	Listener string // Longmen only: more keys of the listener, as YAML flow pairs
	Rule     string // Longmen only: more keys of the rule, likewise
	Cluster  string // Longmen only: more keys of the cluster, likewise

	HTTP2     bool   // clients speak HTTP/2: over TLS by ALPN, else at once (the peers then speak nothing else)
	Upstream2 bool   // the origin speaks HTTP/2, cleartext
	Cert      string // a PEM file of certificate and key, as Certificate makes: over TLS

	// Config, Longmen only, is the whole configuration in place of the plain
	// proxy's: @addr@, @admin@, @log@ and @origin@ stand for what Start knows.
	Config string
}

// A Proxy is a running proxy under test, with one route that sends everything
// to one origin.
type Proxy struct {
	Kind  string
	Addr  string // where it serves
	Admin string // Longmen's admin address, else empty
	Log   string // path of its access log
	PID   int

	cmd    *exec.Cmd
	output *lockedBuffer
	exited chan struct{}
}

// Start runs a proxy before the origin and returns when it serves. It is
// stopped when the test ends, which fails if the proxy had died by itself.
func Start(t testing.TB, kind, origin string, opt Options) *Proxy {
	t.Helper()
	var err error
	// A port found free can be taken before the proxy binds it: try again then.
	for range 3 {
		var p *Proxy
		if p, err = start(kind, origin, t.TempDir(), opt); err == nil {
			t.Cleanup(func() { p.stop(t) })
			return p
		}
	}
	t.Fatalf("%s does not start: %v", kind, err)
	return nil
}

func start(kind, origin, dir string, opt Options) (*Proxy, error) {
	addr, err := RefusedAddr()
	if err != nil {
		return nil, err
	}
	p := &Proxy{Kind: kind, Addr: addr, Log: filepath.Join(dir, "access.log"), output: &lockedBuffer{}, exited: make(chan struct{})}
	conf := filepath.Join(dir, kind+".conf")
	var text string
	switch kind {
	case Longmen:
		if p.Admin, err = RefusedAddr(); err != nil {
			return nil, err
		}
		text = longmenConfig(p, origin, opt)
		p.cmd = exec.Command(os.Getenv(binaryEnv), "run", "-c", conf)
	case Nginx:
		text = nginxConfig(p, origin, dir, opt)
		p.cmd = exec.Command("nginx", "-p", dir, "-c", conf, "-e", "stderr")
	case HAProxy:
		text = haproxyConfig(p, origin, opt)
		p.cmd = exec.Command("haproxy", "-db", "-f", conf)
	default:
		return nil, fmt.Errorf("no proxy named %q", kind)
	}
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		return nil, err
	}
	p.cmd.Dir = dir
	// The suites' own LONGMEN_* are not the gateway's: it would warn of them.
	p.cmd.Env = slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "LONGMEN_") })
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.PID = p.cmd.Process.Pid
	go func() {
		p.cmd.Wait()
		close(p.exited)
	}()
	if err := p.ready(); err != nil {
		p.cmd.Process.Kill()
		<-p.exited
		return nil, fmt.Errorf("%w\n%s", err, p.Output())
	}
	return p, nil
}

// ready waits until the proxy serves.
func (p *Proxy) ready() error {
	deadline := time.Now().Add(Patience)
	for time.Now().Before(deadline) {
		if !p.Alive() {
			return fmt.Errorf("it exited: %v", p.cmd.ProcessState)
		}
		if p.probe() {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return fmt.Errorf("not ready within %v", Patience)
}

func (p *Proxy) probe() bool {
	if p.Admin != "" {
		res, err := http.Get("http://" + p.Admin + "/ready")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	}
	c, err := net.Dial("tcp", p.Addr)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// Alive says that the proxy's process still runs.
func (p *Proxy) Alive() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// Output is what the proxy printed so far.
func (p *Proxy) Output() string { return p.output.String() }

// Signal sends the proxy a signal.
func (p *Proxy) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

func (p *Proxy) stop(t testing.TB) {
	if !p.Alive() {
		t.Errorf("%s died: %v\n%s", p.Kind, p.cmd.ProcessState, p.Output())
		return
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(Patience):
		// A second signal ends a drain that clients hold up.
		p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.exited:
		case <-time.After(Patience):
			t.Errorf("%s does not stop", p.Kind)
			p.cmd.Process.Kill()
			<-p.exited
		}
	}
	if strings.Contains(p.Output(), "panic:") || strings.Contains(p.Output(), "DATA RACE") {
		t.Errorf("%s: %s", p.Kind, p.Output())
	}
}

func longmenConfig(p *Proxy, origin string, opt Options) string {
	if opt.Config != "" {
		return strings.NewReplacer("@addr@", p.Addr, "@admin@", p.Admin, "@log@", p.Log, "@origin@", origin).Replace(opt.Config)
	}
	more := func(s string) string {
		if s != "" {
			return ", " + s
		}
		return ""
	}
	if opt.Cert != "" {
		opt.Listener = strings.TrimPrefix(opt.Listener+", tls: {certs: [site]}", ", ")
	}
	if opt.Upstream2 {
		opt.Cluster = strings.TrimPrefix(opt.Cluster+", protocol: h2", ", ")
	}
	secrets := ""
	if opt.Cert != "" {
		secrets = fmt.Sprintf("secrets:\n  site: {cert: %q, key: %q}\n", opt.Cert, opt.Cert)
	}
	return fmt.Sprintf(`workers: 1
admin: {bind: %q}
access_log: {path: %q, format: json}
listeners:
  http: {bind: %q, routes: main%s}
routes:
  main:
    - hosts: ["*"]
      rules: [{match: {prefix: /}, to: origin%s}]
clusters:
  origin: {endpoints: [%q]%s}
%s`, p.Admin, p.Log, p.Addr, more(opt.Listener), more(opt.Rule), origin, more(opt.Cluster), secrets)
}

func nginxConfig(p *Proxy, origin, dir string, opt Options) string {
	listen, pass := p.Addr, "proxy_pass http"
	if opt.Cert != "" {
		listen += " ssl"
	}
	if opt.HTTP2 {
		listen += " http2"
	}
	if opt.Cert != "" {
		listen += fmt.Sprintf("; ssl_certificate %s; ssl_certificate_key %[1]s", opt.Cert)
	}
	if opt.Upstream2 {
		pass = "grpc_set_header TE trailers; grpc_pass grpc"
	}
	return fmt.Sprintf(`daemon off;
master_process off;
pid %[1]s/pid;
error_log stderr warn;
events { worker_connections 2048; }
http {
  access_log %[2]s;
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f;
  uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  client_header_timeout 2s; client_body_timeout 2s; send_timeout 2s; keepalive_timeout 5s;
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  upstream origin { server %[3]s max_fails=0; keepalive 16; }
  server {
    listen %[4]s;
    location / {
      %[5]s://origin; proxy_http_version 1.1; proxy_request_buffering off; proxy_buffering off;
      proxy_read_timeout 2s; client_max_body_size 0;
      proxy_set_header Host $http_host; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
    }
  }
}
`, dir, p.Log, origin, listen, pass)
}

func haproxyConfig(p *Proxy, origin string, opt Options) string {
	bind := p.Addr
	switch {
	case opt.Cert != "":
		bind += " ssl crt " + opt.Cert + " alpn h2,http/1.1"
	case opt.HTTP2:
		bind += " proto h2"
	}
	if opt.Upstream2 {
		origin += " proto h2"
	}
	return fmt.Sprintf(`global
  maxconn 2048
defaults
  mode http
  timeout connect 2s
  timeout client 3s
  timeout server 2s
  timeout http-request 2s
  timeout http-keep-alive 5s
  timeout tunnel 10s
  http-reuse safe
frontend main
  bind %s
  default_backend origin
backend origin
  server o %s
`, bind, origin)
}

// lockedBuffer takes a process's output while a test may read it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
