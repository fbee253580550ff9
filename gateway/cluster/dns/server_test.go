package dns

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// fakeServer is a name server on loopback, over UDP and TCP.
type fakeServer struct {
	address netip.AddrPort

	mu      sync.Mutex
	records map[string][]string // "name. TYPE" → records in zone file form
	codes   map[string]int      // "name. TYPE" or "name." → response code
	silent  map[string]bool     // names without an answer
	tricks  map[string]func(network string, m *dns.Msg) []*dns.Msg
	asked   []string // "udp name. TYPE"
}

func newFakeServer(t *testing.T) *fakeServer {
	t.Helper()
	f := &fakeServer{records: map[string][]string{}, codes: map[string]int{}, silent: map[string]bool{}, tricks: map[string]func(string, *dns.Msg) []*dns.Msg{}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	packets, err := net.ListenPacket("udp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	f.address = netip.MustParseAddrPort(listener.Addr().String())
	for network, server := range map[string]*dns.Server{"tcp": {Listener: listener}, "udp": {PacketConn: packets}} {
		started, ended := make(chan struct{}), make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		server.Handler = dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) { f.serve(network, w, m) })
		go func() {
			server.ActivateAndServe()
			close(ended)
		}()
		<-started
		t.Cleanup(func() { server.Shutdown(); <-ended })
	}
	return f
}

func (f *fakeServer) serve(network string, w dns.ResponseWriter, question *dns.Msg) {
	name := strings.ToLower(question.Question[0].Name)
	kind := name + " " + dns.TypeToString[question.Question[0].Qtype]
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, network+" "+kind)
	if f.silent[name] || f.silent[kind] {
		return
	}
	answer := new(dns.Msg).SetReply(question)
	for _, text := range f.records[kind] {
		record, err := dns.NewRR(text)
		if err != nil {
			panic(err)
		}
		answer.Answer = append(answer.Answer, record)
	}
	if code, ok := f.codes[kind]; ok {
		answer.Rcode = code
	} else if code, ok := f.codes[name]; ok {
		answer.Rcode = code
	} else if len(f.records[name+" A"])+len(f.records[name+" AAAA"]) == 0 {
		answer.Rcode = dns.RcodeNameError
	}
	answers := []*dns.Msg{answer}
	if trick := f.tricks[name]; trick != nil {
		answers = trick(network, answer)
	}
	for _, m := range answers {
		if wire, err := m.Pack(); err == nil && m.Truncated && len(m.Answer) > 0 {
			w.Write(wire[:len(wire)-14]) // within its last record
		} else {
			w.WriteMsg(m)
		}
	}
}

// change lets a test set what the server answers.
func (f *fakeServer) change(set func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	set()
}

func (f *fakeServer) questions() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asked)
}

func (f *fakeServer) config() *Config {
	return &Config{Resolvers: []netip.AddrPort{f.address}}
}

// newTestResolver has its own files, and routes to everything.
func newTestResolver(t *testing.T, hosts, resolvConf string) *Resolver {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"hosts": hosts, "resolv.conf": resolvConf} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := NewResolver(filepath.Join(dir, "hosts"), filepath.Join(dir, "resolv.conf"))
	r.routed = func(netip.Addr) bool { return true }
	return r
}

func list(addresses []netip.Addr) string {
	var b strings.Builder
	for i, a := range addresses {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(a.String())
	}
	return b.String()
}
