package peers

import (
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"longmen/bench/authority"
	"longmen/bench/tlsclient"
)

func site(t *testing.T) Site {
	return Site{
		Dir: t.TempDir(), Port: 18080, AdminPort: 18081, Origin: netip.MustParseAddrPort("127.0.0.1:18082"),
		Workers: 1, Connections: 1000, Files: 2000,
		Hosts: []Host{{Name: "a.example.com", Prefixes: []string{"/r1", "/r2"}}, {Name: "b.example.com", Prefixes: []string{"/"}}},
	}
}

func TestConfigsHoldTheWholeSite(t *testing.T) {
	for _, p := range All("/bin/true", "/bin/true") {
		p.Binary = "/bin/true" // the peer itself need not be installed
		s := site(t)
		cmd, err := p.Command(s)
		if err != nil {
			t.Fatalf("%s: %v", p.Name, err)
		}
		if !p.Real {
			if got := strings.Join(cmd.Args[1:], " "); got != "18080 18082 1" {
				t.Errorf("%s: %s", p.Name, got)
			}
			continue
		}
		var all strings.Builder
		for _, name := range p.config {
			b, err := os.ReadFile(filepath.Join(s.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			all.Write(b)
		}
		for _, want := range []string{"18080", "18081", "18082", "a.example.com", "b.example.com", "/r1", "/r2", s.Log()} {
			if !strings.Contains(all.String(), want) {
				t.Errorf("%s: no %q in\n%s", p.Name, want, all.String())
			}
		}
		if url := p.ReadyURL(s); !strings.HasPrefix(url, "http://127.0.0.1:18081/") {
			t.Errorf("%s: ready at %q", p.Name, url)
		}
	}
}

// certify gives the hosts their certificates.
func certify(t *testing.T, s *Site, kind authority.Kind) {
	t.Helper()
	dir := filepath.Join(s.Dir, "certs")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	a, err := authority.New(kind, dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range s.Hosts {
		if s.Hosts[i].Certificate, err = a.Issue(s.Hosts[i].Name); err != nil {
			t.Fatal(err)
		}
	}
}

func TestConfigsOverTLS(t *testing.T) {
	for _, p := range All("/bin/true", "/bin/true") {
		if !p.Real {
			continue
		}
		for _, kind := range []authority.Kind{authority.P256, authority.SM2} {
			if p.h2 && !p.h1 || kind == authority.SM2 && !p.Serves(false, false, tlsclient.TLCP) {
				continue
			}
			p.Binary = "/bin/true"
			s := site(t)
			certify(t, &s, kind)
			if _, err := p.Command(s); err != nil {
				t.Fatalf("%s: %v", p.Name, err)
			}
			b, err := os.ReadFile(filepath.Join(s.Dir, p.config[0]))
			if err != nil {
				t.Fatal(err)
			}
			wants := []string{"X25519"}
			if p.Name == "haproxy" {
				wants = append(wants, "ssl crt "+s.Certificates(), "X-Forwarded-Proto https")
			} else {
				wants = append(wants, s.Hosts[0].Certificate.File, s.Hosts[1].Certificate.File, s.Hosts[1].Certificate.Encrypt)
			}
			for _, want := range wants {
				if !strings.Contains(string(b), want) {
					t.Errorf("%s: no %q in\n%s", p.Name, want, b)
				}
			}
		}
	}
}

func TestWhoServesWhat(t *testing.T) {
	got := map[string]string{}
	for _, p := range All("longmen", "floor") {
		for name, serves := range map[string]bool{
			"1": p.Serves(false, false, ""), "T": p.Serves(false, false, tlsclient.TLS12), "S": p.Serves(false, false, tlsclient.RFC8998),
			"2": p.Serves(true, false, tlsclient.TLS13), "G": p.Serves(true, true, ""),
		} {
			if serves {
				got[name] += " " + p.Name
			}
		}
	}
	want := map[string]string{
		"1": " longmen nginx haproxy floor", "T": " longmen nginx haproxy", "S": " longmen",
		"2": " longmen nginx haproxy h2o nghttpx", "G": " longmen nginx haproxy nghttpx",
	}
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s: %q, want %q", name, got[name], want[name])
		}
	}
}

// The peers' own checks read the configurations, where they are installed.
func TestPeersAcceptTheirConfigs(t *testing.T) {
	for _, kind := range []authority.Kind{"", authority.P256} {
		for _, single := range []bool{false, true} {
			acceptConfigs(t, single, kind, false, false)
		}
		acceptConfigs(t, true, kind, true, false)
		acceptConfigs(t, true, kind, true, true)
	}
}

func acceptConfigs(t *testing.T, single bool, kind authority.Kind, http2, upstream2 bool) {
	for _, p := range All("longmen", "floor") {
		check := map[string]string{"nginx": "-t", "haproxy": "-c", "h2o": "-t"}[p.Name]
		if check == "" || !p.Serves(http2, upstream2, "") {
			continue
		}
		s := site(t)
		s.HTTP2, s.Upstream2 = http2, upstream2
		if single {
			s.Hosts = s.Hosts[1:]
		}
		if kind != "" {
			certify(t, &s, kind)
		}
		cmd, err := p.Command(s)
		if err != nil {
			t.Logf("%s is not installed: %v", p.Name, err)
			continue
		}
		out, err := exec.Command(cmd.Path, append(cmd.Args[1:], check)...).CombinedOutput()
		if err != nil {
			t.Errorf("%s %s: %v\n%s", p.Name, check, err, out)
		}
	}
}

func TestMissingPeer(t *testing.T) {
	p := All("longmen", "floor")[1]
	p.Binary = "no-such-proxy"
	if _, err := p.Command(site(t)); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("a proxy that is not installed: %v", err)
	}
	if _, err := p.Version(t.Context()); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("the version of a proxy that is not installed: %v", err)
	}
	if v, err := All("longmen", "floor")[0].Version(t.Context()); v != "" || err != nil {
		t.Errorf("the version of what is built here: %q, %v", v, err)
	}
}
