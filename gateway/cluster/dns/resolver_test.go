package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestLookup(t *testing.T) {
	server := newFakeServer(t)
	server.change(func() {
		server.records = map[string][]string{
			"web.test. A":      {"web.test. 30 IN A 192.0.2.1", "web.test. 20 IN A 192.0.2.2"},
			"web.test. AAAA":   {"web.test. 40 IN AAAA 2001:db8::1"},
			"four.test. A":     {"four.test. 60 IN A 192.0.2.4"},
			"alias.test. A":    {"alias.test. 5 IN CNAME four.test.", "four.test. 60 IN A 192.0.2.4"},
			"half.test. A":     {"half.test. 60 IN A 192.0.2.9"},
			"dangling.test. A": {"dangling.test. 60 IN CNAME nowhere.test."},
			"zero.test. A":     {"zero.test. 0 IN A 192.0.2.5"},
			"forged.test. A":   {"forged.test. 60 IN A 192.0.2.6"},
			"torn.test. A":     {"torn.test. 60 IN A 192.0.2.8"},
			"cut.test. A":      {"cut.test. 60 IN A 192.0.2.7"},
		}
		server.codes["half.test. AAAA"] = dns.RcodeServerFailure
		server.codes["broken.test."] = dns.RcodeServerFailure
		server.codes["empty.test."] = dns.RcodeSuccess
		server.codes["mixed.test. A"] = dns.RcodeServerFailure
		server.codes["mixed.test. AAAA"] = dns.RcodeSuccess
		server.tricks["forged.test."] = func(_ string, m *dns.Msg) []*dns.Msg {
			id, question := m.Copy(), m.Copy()
			id.Id++
			question.Question[0].Name = "other.test."
			return []*dns.Msg{id, question, m}
		}
		server.tricks["torn.test."] = func(network string, m *dns.Msg) []*dns.Msg {
			m.Truncated = network == "udp"
			return []*dns.Msg{m}
		}
		server.tricks["cut.test."] = func(network string, m *dns.Msg) []*dns.Msg {
			if network == "udp" {
				m.Truncated, m.Answer = true, nil
			}
			return []*dns.Msg{m}
		}
	})
	r := newTestResolver(t, "127.0.0.9 pinned.test other.test # comment\n::9 pinned.test\nnot-an-address x.test\n", "")

	for _, c := range []struct {
		name   string
		family Family
		want   string
		ttl    time.Duration
		err    string
	}{
		{name: "web.test", want: "2001:db8::1 192.0.2.1 192.0.2.2", ttl: 20 * time.Second},
		{name: "WEB.test.", want: "2001:db8::1 192.0.2.1 192.0.2.2", ttl: 20 * time.Second},
		{name: "web.test", family: V4Only, want: "192.0.2.1 192.0.2.2", ttl: 20 * time.Second},
		{name: "web.test", family: V6Only, want: "2001:db8::1", ttl: 40 * time.Second},
		{name: "four.test", want: "192.0.2.4", ttl: time.Minute},
		{name: "four.test", family: V6Only},
		{name: "alias.test", want: "192.0.2.4", ttl: 5 * time.Second},
		{name: "half.test", want: "192.0.2.9", ttl: time.Minute},
		{name: "dangling.test"},
		{name: "zero.test", want: "192.0.2.5"},
		{name: "forged.test", want: "192.0.2.6", ttl: time.Minute},
		{name: "cut.test", want: "192.0.2.7", ttl: time.Minute},
		{name: "torn.test", want: "192.0.2.8", ttl: time.Minute},
		{name: "empty.test"},
		{name: "missing.test", err: "no such name: missing.test"},
		{name: "broken.test", err: fmt.Sprintf("server %s answered SERVFAIL", server.address)},
		{name: "mixed.test", err: fmt.Sprintf("server %s answered SERVFAIL", server.address)},
		{name: "192.0.2.77", want: "192.0.2.77"},
		{name: "::ffff:192.0.2.77", want: "192.0.2.77"},
		{name: "pinned.test", want: "127.0.0.9 ::9"},
		{name: "Pinned.Test.", family: V6Only, want: "::9"},
		{name: "localhost", want: "127.0.0.1 ::1"},
		{name: "app.localhost", family: V4Only, want: "127.0.0.1"},
		{name: strings.Repeat("a", 64) + ".test", err: fmt.Sprintf("%q is not a host name", strings.Repeat("a", 64)+".test")},
		{name: "", err: `"" is not a host name`},
	} {
		config := server.config()
		config.Family = c.family
		got, err := r.Lookup(t.Context(), c.name, config)
		if fmt.Sprint(err) != c.err && (err != nil || c.err != "") {
			t.Errorf("%s: error %v, want %s", c.name, err, c.err)
		}
		if list(got) != c.want {
			t.Errorf("%s: %s, want %s", c.name, list(got), c.want)
		}
		if a, _ := r.lookup(t.Context(), c.name, config); a.ttlKnown && a.ttl != c.ttl {
			t.Errorf("%s: TTL %s, want %s", c.name, a.ttl, c.ttl)
		}
	}
	if _, err := r.Lookup(t.Context(), "missing.test", server.config()); !errors.Is(err, ErrNotFound) {
		t.Errorf("NXDOMAIN is %v", err)
	}
	if !slices.Contains(server.questions(), "tcp cut.test. A") || !slices.Contains(server.questions(), "tcp torn.test. A") || slices.Contains(server.questions(), "tcp web.test. A") {
		t.Errorf("TCP is for answers that were cut, asked %v", server.questions())
	}
}

func TestSearchDomains(t *testing.T) {
	server := newFakeServer(t)
	server.change(func() {
		server.records = map[string][]string{
			"web.two.test. A":   {"web.two.test. 30 IN A 192.0.2.1"},
			"a.b.one.test. A":   {"a.b.one.test. 30 IN A 192.0.2.2"},
			"a.b. A":            {"a.b. 30 IN A 192.0.2.3"},
			"flaky.two.test. A": {"flaky.two.test. 30 IN A 192.0.2.4"},
		}
		server.codes["flaky.one.test."] = dns.RcodeServerFailure
		server.codes["down.one.test."] = dns.RcodeServerFailure
		server.codes["none.two.test."] = dns.RcodeSuccess
	})
	for _, c := range []struct {
		options, name, want string
		err                 bool
		asked               []string
	}{
		{"ndots:1", "web", "192.0.2.1", false, []string{"web.one.test.", "web.two.test."}},
		{"ndots:1", "a.b", "192.0.2.3", false, []string{"a.b."}},
		{"ndots:2", "a.b", "192.0.2.2", false, []string{"a.b.one.test."}},
		{"ndots:5", "a.b.", "192.0.2.3", false, []string{"a.b."}},
		{"ndots:1", "flaky", "192.0.2.4", false, []string{"flaky.one.test.", "flaky.two.test."}},
		{"ndots:1", "down", "", true, []string{"down.one.test.", "down.two.test.", "down."}},
		{"ndots:1", "none", "", false, []string{"none.one.test.", "none.two.test.", "none."}},
	} {
		server.change(func() { server.asked = nil })
		r := newTestResolver(t, "", "search one.test two.test\noptions attempts:1 "+c.options+"\n")
		parse := r.system.parse
		r.system.parse = func(text []byte) servers {
			s := parse(text)
			s.addresses = []netip.AddrPort{server.address}
			return s
		}
		got, err := r.Lookup(t.Context(), c.name, &Config{Family: V4Only})
		if (err != nil) != c.err || errors.Is(err, ErrNotFound) || list(got) != c.want {
			t.Errorf("%s with %s: %s, %v", c.name, c.options, list(got), err)
		}
		want := make([]string, len(c.asked))
		for i, name := range c.asked {
			want[i] = "udp " + name + " A"
		}
		if asked := server.questions(); !slices.Equal(asked, want) {
			t.Errorf("%s with %s: asked %v, want %v", c.name, c.options, asked, want)
		}
	}
}

func TestNextServer(t *testing.T) {
	dead, alive := newFakeServer(t), newFakeServer(t)
	dead.change(func() {
		dead.codes["web.test."] = dns.RcodeRefused
		dead.silent["slow.test."] = true
	})
	alive.change(func() {
		for _, name := range []string{"web.test.", "slow.test."} {
			alive.records[name+" A"] = []string{name + " 30 IN A 192.0.2.1"}
		}
	})
	s := servers{addresses: []netip.AddrPort{dead.address, alive.address}, names: asItStands, timeout: 50 * time.Millisecond, attempts: 2}
	for _, name := range []string{"web.test.", "slow.test."} {
		m, err := s.ask(t.Context(), name, dns.TypeA)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := addresses(m); list(got) != "192.0.2.1" {
			t.Errorf("%s: %s", name, list(got))
		}
	}
	s.addresses = s.addresses[:1]
	_, err := s.ask(t.Context(), "slow.test.", dns.TypeA)
	if want := fmt.Sprintf("server %s did not answer within 50ms", dead.address); fmt.Sprint(err) != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if n := len(dead.questions()); n != 4 {
		t.Errorf("the dead server was asked %d times: %v", n, dead.questions())
	}
}

func TestLookupIsBrokenOff(t *testing.T) {
	server := newFakeServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	server.change(func() { // the question is there: break off
		server.tricks["cancelled.test."] = func(string, *dns.Msg) []*dns.Msg { cancel(); return nil }
	})
	if _, err := newTestResolver(t, "", "").Lookup(ctx, "cancelled.test", server.config()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestRoutes(t *testing.T) {
	server := newFakeServer(t)
	server.change(func() {
		server.records = map[string][]string{
			"web.test. A":    {"web.test. 30 IN A 192.0.2.1"},
			"web.test. AAAA": {"web.test. 30 IN AAAA 2001:db8::1"},
			"six.test. AAAA": {"six.test. 30 IN AAAA 2001:db8::1"},
		}
	})
	r := newTestResolver(t, "", "")
	r.routed = func(a netip.Addr) bool { return a.Is4() }
	for name, want := range map[string]string{"web.test": "192.0.2.1", "six.test": "2001:db8::1", "localhost": "127.0.0.1"} {
		if got, err := r.Lookup(t.Context(), name, server.config()); err != nil || list(got) != want {
			t.Errorf("%s: %s, %v, want %s", name, list(got), err, want)
		}
	}
	if !routed(netip.MustParseAddr("127.0.0.1")) {
		t.Error("no route to the loopback address")
	}
}

func TestResolvConf(t *testing.T) {
	s := parseResolvConf([]byte("nameserver 192.0.2.1\nnameserver bad\nnameserver fe80::1%eth0\noptions timeout:3 attempts:9\n"))
	want := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:53"), netip.MustParseAddrPort("[fe80::1%eth0]:53")}
	if !slices.Equal(s.addresses, want) || s.timeout != 3*time.Second || s.attempts != 5 {
		t.Errorf("%+v", s)
	}
	if s = parseResolvConf(nil); len(s.addresses) != 1 || s.addresses[0].String() != "127.0.0.1:53" {
		t.Errorf("without a file: %+v", s)
	}
}

func TestFilesAreReadAgain(t *testing.T) {
	r := newTestResolver(t, "127.0.0.1 a.test\n", "")
	lookup := func() string {
		r.hosts.checked = r.hosts.checked.Add(-checkEvery) // as if time had passed
		return list(r.local("a.test", &Config{}))
	}
	if got := list(r.local("a.test", &Config{})); got != "127.0.0.1" {
		t.Errorf("first: %s", got)
	}
	if err := os.WriteFile(r.hosts.path, []byte("127.0.0.22 a.test\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := lookup(); got != "127.0.0.22" {
		t.Errorf("after the change: %s", got)
	}
	if err := os.Remove(r.hosts.path); err != nil {
		t.Fatal(err)
	}
	if got := lookup(); got != "" {
		t.Errorf("without the file: %s", got)
	}
}
