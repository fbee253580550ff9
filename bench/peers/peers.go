// Package peers knows the proxies that are measured: how each is configured
// for the same site, as its own documentation advises, and how it is started.
package peers

import (
	"bufio"
	"context"
	"embed"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"

	"longmen/bench/authority"
	"longmen/bench/tlsclient"
)

//go:embed *.tmpl
var files embed.FS

// Host is one virtual host and its routes, all to the origin.
type Host struct {
	Name     string
	Prefixes []string // of paths, without a slash at the end except "/"
	// Certificate is empty where the site is served without TLS.
	Certificate authority.Certificate
}

// Site is what a peer is to serve.
type Site struct {
	Dir         string // for configuration, log and temporary files; the peer's own
	Port        int    // to serve on, on 127.0.0.1
	AdminPort   int    // for metrics, on 127.0.0.1
	Origin      netip.AddrPort
	Workers     int
	Connections int // at most, downstream and upstream
	Files       int // descriptors a process may have
	Hosts       []Host
	HTTP2       bool // clients speak HTTP/2: over TLS by ALPN, else at once
	Upstream2   bool // so does the origin
	Holds       bool // requests stay open for long, and many of them
}

// TLS says whether the site is served over TLS.
func (s Site) TLS() bool { return s.Hosts[0].Certificate.File != "" }

// Certificates is the directory of all certificates, and of nothing else.
func (s Site) Certificates() string { return filepath.Dir(s.Hosts[0].Certificate.File) }

// Log is where the access log goes.
func (s Site) Log() string { return filepath.Join(s.Dir, "access.log") }

// Root says whether the site is run by root.
func (s Site) Root() bool { return os.Geteuid() == 0 }

// Routes is the file of HAProxy's routes, or empty for a single route.
func (s Site) Routes() string {
	if len(s.Hosts) == 1 && len(s.Hosts[0].Prefixes) == 1 {
		return ""
	}
	return filepath.Join(s.Dir, "haproxy.map")
}

// Peer is one proxy.
type Peer struct {
	Name   string
	Real   bool     // routes, logs and counts, so that its cost compares
	h1, h2 bool     // clients may speak HTTP/1.1, HTTP/2
	up2    bool     // so may the origin HTTP/2
	Binary string   // a path, or a name to be looked up
	asks   string   // argument that prints its version, if any
	ready  string   // path on the admin port that answers 200 once it serves
	config []string // the templates, the main one first
	args   func(p Peer, s Site, config string) []string
}

// All are the peers in the order in which they take turns. longmen and floor
// are the paths of those two binaries.
func All(longmen, floor string) []Peer {
	return []Peer{
		{
			Name: "longmen", Real: true, h1: true, h2: true, up2: true, Binary: longmen, ready: "/ready", config: []string{"longmen.yaml"},
			args: func(_ Peer, _ Site, config string) []string { return []string{"run", "-c", config} },
		},
		{
			Name: "nginx", Real: true, h1: true, h2: true, up2: true, Binary: "nginx", asks: "-v", ready: "/stub_status", config: []string{"nginx.conf"},
			args: func(_ Peer, s Site, config string) []string {
				return []string{"-p", s.Dir, "-c", config, "-e", filepath.Join(s.Dir, "nginx.error.log")}
			},
		},
		{
			Name: "haproxy", Real: true, h1: true, h2: true, up2: true, Binary: "haproxy", asks: "-v", ready: "/metrics", config: []string{"haproxy.cfg", "haproxy.map"},
			args: func(_ Peer, _ Site, config string) []string { return []string{"-q", "-db", "-f", config} },
		},
		{
			Name: "h2o", Real: true, h2: true, Binary: "h2o", asks: "-v", ready: "/status", config: []string{"h2o.conf"},
			args: func(_ Peer, _ Site, config string) []string { return []string{"-c", config} },
		},
		{
			Name: "nghttpx", Real: true, h2: true, up2: true, Binary: "nghttpx", asks: "--version", ready: "/", config: []string{"nghttpx.conf"},
			args: func(_ Peer, _ Site, config string) []string { return []string{"--conf=" + config} },
		},
		{
			Name: "floor", h1: true, Binary: floor,
			args: func(_ Peer, s Site, _ string) []string {
				return []string{strconv.Itoa(s.Port), strconv.Itoa(int(s.Origin.Port())), strconv.Itoa(s.Workers)}
			},
		},
	}
}

// Serves says whether the peer serves clients of HTTP/1.1, or of HTTP/2, before
// an origin of HTTP/1.1, or of HTTP/2, over a protocol of TLS; empty is none.
func (p Peer) Serves(http2, upstream2 bool, protocol tlsclient.Protocol) bool {
	if http2 && !p.h2 || !http2 && !p.h1 || upstream2 && !p.up2 {
		return false
	}
	return protocol == "" || p.Real && !protocol.SM() || p.Name == "longmen"
}

// Command writes the peer's configuration into the site's directory and
// returns the command that runs it in the foreground.
func (p Peer) Command(s Site) (*exec.Cmd, error) {
	path, err := p.path()
	if err != nil {
		return nil, err
	}
	config := ""
	for i, name := range p.config {
		file := filepath.Join(s.Dir, name)
		if err := write(file, name+".tmpl", s); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if i == 0 {
			config = file
		}
	}
	return exec.Command(path, p.args(p, s, config)...), nil
}

func (p Peer) path() (string, error) {
	path, err := exec.LookPath(p.Binary)
	if err != nil && !strings.Contains(p.Binary, "/") {
		// Debian keeps daemons where an ordinary user's PATH does not look.
		if sbin, lookErr := exec.LookPath("/usr/sbin/" + p.Binary); lookErr == nil {
			return sbin, nil
		}
	}
	return path, err
}

// Version is the first line that an installed peer prints of itself; empty for
// one that is built from this repository.
func (p Peer) Version(ctx context.Context) (string, error) {
	if p.asks == "" {
		return "", nil
	}
	path, err := p.path()
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, path, p.asks).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", p.Name, p.asks, err)
	}
	first, _, _ := strings.Cut(string(out), "\n")
	return first, nil
}

// ReadyURL answers 200 once the peer serves; empty where there is none.
func (p Peer) ReadyURL(s Site) string {
	if p.ready == "" {
		return ""
	}
	return fmt.Sprintf("http://127.0.0.1:%d%s", s.AdminPort, p.ready)
}

func write(file, name string, s Site) error {
	t, err := template.New(name).Funcs(template.FuncMap{"slash": slash}).ParseFS(files, name)
	if err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	if err := t.Execute(w, s); err != nil {
		return err
	}
	return w.Flush()
}

// slash makes a path prefix of whole segments out of a route's prefix.
func slash(prefix string) string { return strings.TrimSuffix(prefix, "/") + "/" }
