package harness

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"longmen/bench/peers"
	"longmen/bench/tlsclient"
)

// readyWithin bounds a proxy's start: 100,000 routes take some of them long.
const readyWithin = 90 * time.Second

// turn is one proxy, running.
type turn struct {
	peer    peers.Peer
	site    peers.Site
	process *process
	pool    *x509.CertPool // of the certificates' authority
	ready   readiness
	rps     float64 // of the last run, 0 before the first
}

// readiness is what it took a proxy to start.
type readiness struct {
	after time.Duration // from its start until it served
	cpu   time.Duration
}

// start brings a proxy up for the case and checks that it does what it is
// asked to. A proxy that is not installed gives exec.ErrNotFound.
func (b *Bench) start(ctx context.Context, p peers.Peer, c Case) (*turn, error) {
	if p.Binary == "" {
		return nil, fmt.Errorf("%s was not built: %w", p.Name, exec.ErrNotFound)
	}
	// The ports were free when the kernel gave them; who loses one to another
	// process in between gets new ones.
	for try := 1; ; try++ {
		t, err := b.startOnce(ctx, p, c)
		if err == nil || try == 3 || !errors.Is(err, errEnded) {
			return t, err
		}
	}
}

var errEnded = errors.New("ended instead of serving")

func (b *Bench) startOnce(ctx context.Context, p peers.Peer, c Case) (*turn, error) {
	dir, err := os.MkdirTemp(b.dir, p.Name+"-")
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	site := peers.Site{
		Dir: dir, Port: ports[0], AdminPort: ports[1], Origin: b.place(c).origin,
		Workers: b.Workers, Connections: 8192, Files: b.files, Hosts: b.hosts(c),
		HTTP2: c.HTTP2, Upstream2: c.Upstream2, Holds: c.Idle && c.Streams > 0,
	}
	if levels := b.levels(c); c.Idle {
		// nginx closes idle connections once fewer than 1/16 are to spare.
		most := levels[len(levels)-1] * (1 + c.Streams)
		site.Connections = most + most/8 + 1000
	}
	cmd, err := p.Command(site)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	child, err := start(p.Name, cmd, b.place(c).Proxy, filepath.Join(dir, p.Name+".out"))
	if err != nil {
		return nil, err
	}
	t := &turn{peer: p, site: site, process: child, pool: b.trust}
	if err := t.await(ctx); err != nil {
		said := child.said() + t.errorLog()
		t.stop()
		return nil, fmt.Errorf("%s: %w: %s", p.Name, err, said)
	}
	t.ready.after = time.Since(began)
	if t.ready.cpu, err = child.used(); err == nil {
		err = t.verify(c)
	}
	if err != nil {
		t.stop()
		return nil, fmt.Errorf("%s: %w", p.Name, err)
	}
	return t, nil
}

func (t *turn) stop() {
	t.process.stop()
	os.RemoveAll(t.site.Dir)
}

// errorLog is nginx's, whose standard error says little.
func (t *turn) errorLog() string {
	b, _ := os.ReadFile(filepath.Join(t.site.Dir, "nginx.error.log"))
	return string(b[:min(len(b), 2000)])
}

// await returns when the proxy serves.
func (t *turn) await(ctx context.Context) error {
	deadline := time.Now().Add(readyWithin)
	for {
		if t.process.ended() {
			return errEnded
		}
		if t.serves(ctx) {
			return nil
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not ready within %v", readyWithin)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (t *turn) serves(ctx context.Context) bool {
	url := t.peer.ReadyURL(t.site)
	if url == "" {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", t.site.Port))
		if err == nil {
			c.Close()
		}
		return err == nil
	}
	status, _, err := get(ctx, url, "", nil)
	return err == nil && status == http.StatusOK
}

// verify checks that the first and the last route lead to the origin and that
// the real proxies serve nothing else: they are to be compared as routers.
func (t *turn) verify(c Case) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	base := fmt.Sprintf("http://127.0.0.1:%d", t.site.Port)
	secure := func(string) *tls.Config { return nil }
	if c.TLS.SM() {
		return nil // which net/http does not speak: the warm-up checks all that it can
	}
	if c.TLS != "" {
		base = fmt.Sprintf("https://127.0.0.1:%d", t.site.Port)
		secure = func(name string) *tls.Config {
			version := map[tlsclient.Protocol]uint16{tlsclient.TLS13: tls.VersionTLS13, tlsclient.TLS12: tls.VersionTLS12}[c.TLS]
			return &tls.Config{RootCAs: t.pool, ServerName: name, MinVersion: version, MaxVersion: version}
		}
	}
	first, last := t.site.Hosts[0], t.site.Hosts[len(t.site.Hosts)-1]
	type check struct {
		host, prefix string
		found        bool
		secure       *tls.Config
	}
	checks := []check{
		{first.Name, first.Prefixes[0], true, secure(first.Name)},
		{last.Name, last.Prefixes[len(last.Prefixes)-1], true, secure(last.Name)},
	}
	if t.peer.Real {
		checks = append(checks, check{"unknown.example.com", first.Prefixes[0], false, secure(first.Name)})
		if c.Routes > 0 {
			checks = append(checks, check{first.Name, "/unknown", false, secure(first.Name)})
		}
	}
	for _, k := range checks {
		if c.HTTP2 {
			found, said, err := t.ask2(ctx, c, k.host, &http.Transport{TLSClientConfig: k.secure})
			if err != nil {
				return err
			}
			if found != k.found {
				return fmt.Errorf("host %s gives %s, and should be found: %v\n%s", k.host, said, k.found, t.process.said())
			}
			continue
		}
		path := strings.TrimSuffix(k.prefix, "/") + "/1k"
		status, size, err := get(ctx, base+path, k.host, k.secure)
		if err != nil {
			return err
		}
		if found := status == http.StatusOK && size == 1<<10; found != k.found || !found && status != http.StatusNotFound {
			return fmt.Errorf("%s for host %s gives %d with %d bytes, and should be found: %v\n%s", path, k.host, status, size, k.found, t.process.said())
		}
	}
	return nil
}

// logged checks, once a proxy has stopped, that it kept an access log.
func (t *turn) logged(c Case) error {
	if !t.peer.Real {
		return nil
	}
	f, err := os.Open(t.site.Log())
	if err != nil {
		return fmt.Errorf("%s kept no access log: %w", t.peer.Name, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 2<<20))
	if err != nil {
		return err
	}
	path := c.Path
	if c.Idle && c.Streams > 0 {
		path = "/1k" // verify's: not everybody logs what was under way at the end
	}
	if !bytes.Contains(b, []byte(path)) {
		return fmt.Errorf("%s: the access log has no line with %s", t.peer.Name, path)
	}
	return nil
}

// get makes one request on a connection of its own.
func get(ctx context.Context, url, host string, secure *tls.Config) (status int, size int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, 0, err
	}
	req.Host, req.Close = host, true
	transport := &http.Transport{TLSClientConfig: secure}
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(req)
	if err != nil {
		return 0, 0, err
	}
	defer res.Body.Close()
	size, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, size, err
}
