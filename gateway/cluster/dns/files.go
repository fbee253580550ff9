package dns

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	maxFile    = 4 << 20         // bytes of a hosts file or resolv.conf that are read
	checkEvery = 2 * time.Second // how often a file's change is looked for
)

// file is a parsed file that is read again when it changed.
type file[T any] struct {
	path  string
	parse func([]byte) T

	mu      sync.Mutex
	checked time.Time
	changed time.Time // the file's
	size    int64
	content T
}

// get returns the parsed content. A file that is missing is an empty one.
func (f *file[T]) get() T {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if !f.checked.IsZero() && now.Sub(f.checked) < checkEvery {
		return f.content
	}
	info, err := os.Stat(f.path)
	if err == nil && !f.checked.IsZero() && info.ModTime().Equal(f.changed) && info.Size() == f.size {
		f.checked = now
		return f.content
	}
	var text []byte
	if err == nil {
		text = readBounded(f.path)
		f.changed, f.size = info.ModTime(), info.Size()
	} else {
		f.changed, f.size = time.Time{}, -1
	}
	f.checked = now
	f.content = f.parse(text)
	return f.content
}

func readBounded(path string) []byte {
	opened, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer opened.Close()
	text, err := io.ReadAll(io.LimitReader(opened, maxFile))
	if err != nil {
		return nil
	}
	return text
}

// hosts has the addresses of each name of a hosts file, in the order of its lines.
type hosts map[string][]netip.Addr

func parseHosts(text []byte) hosts {
	h := hosts{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		address, err := netip.ParseAddr(fields[0])
		if err != nil {
			continue
		}
		for _, name := range fields[1:] {
			name = canonical(name)
			h[name] = append(h[name], address.Unmap())
		}
	}
	return h
}

// canonical is a name in lower case without the dot at its end.
func canonical(name string) string {
	return strings.ToLower(strings.TrimSuffix(name, "."))
}

// servers is whom to ask and how.
type servers struct {
	addresses []netip.AddrPort
	names     func(name string) []string // fully qualified names to ask for, in order
	timeout   time.Duration              // for one answer
	attempts  int                        // at each server
}

// asItStands is the list of names without search domains.
func asItStands(name string) []string { return []string{dns.Fqdn(name)} }

func parseResolvConf(text []byte) servers {
	config, err := dns.ClientConfigFromReader(bytes.NewReader(text))
	if err != nil {
		config = &dns.ClientConfig{Ndots: 1, Timeout: 5, Attempts: 2}
	}
	s := servers{
		names:    config.NameList,
		timeout:  time.Duration(min(config.Timeout, 30)) * time.Second,
		attempts: min(config.Attempts, 5),
	}
	for _, server := range config.Servers {
		if address, err := netip.ParseAddr(server); err == nil && len(s.addresses) < 3 { // three, as resolv.conf(5) says
			s.addresses = append(s.addresses, netip.AddrPortFrom(address, 53))
		}
	}
	if len(s.addresses) == 0 { // resolv.conf(5): the name server on the local machine
		s.addresses = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53")}
	}
	return s
}

// routed tells whether the machine has a route to an address. It sends nothing.
func routed(address netip.Addr) bool {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(address, 9)))
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
