package harness

import (
	"fmt"
	"regexp"
	"strings"

	"longmen/bench/load"
	"longmen/bench/peers"
)

// Case is one kind of work.
type Case struct {
	Name   string
	About  string
	Method string
	Path   string // behind the route's prefix
	Body   int64  // of the request, in bytes
	Length int64  // of the response, in bytes
	Conns  int
	New    bool
	Routes int  // 0 is a single host with the single route "/"
	Rates  bool // latency at fixed rates is measured, too
	Idle   bool // memory of idle connections instead of all the above
}

// Cases are all there is to measure.
func Cases() []Case {
	list := []Case{
		{Name: "get-1k", About: "1 KB GET, kept connections", Method: "GET", Path: "/1k", Length: 1 << 10, Conns: 128, Rates: true},
		{Name: "post-1k", About: "1 KB POST, 1 KB answer, kept connections", Method: "POST", Path: "/1k", Body: 1 << 10, Length: 1 << 10, Conns: 128, Rates: true},
		{Name: "get-64k", About: "64 KB GET, kept connections", Method: "GET", Path: "/64k", Length: 64 << 10, Conns: 64, Rates: true},
		{Name: "upload-10m", About: "10 MB POST, 1 KB answer, kept connections", Method: "POST", Path: "/1k", Body: 10 << 20, Length: 1 << 10, Conns: 8},
		{Name: "new-connection", About: "1 KB GET, a new connection for each", Method: "GET", Path: "/1k", Length: 1 << 10, Conns: 128, New: true, Rates: true},
		{Name: "idle", About: "memory of idle kept connections", Method: "GET", Path: "/1k", Length: 1 << 10, Idle: true},
	}
	for _, n := range []int{1, 100, 10_000, 100_000} {
		list = append(list, Case{
			Name: fmt.Sprintf("routes-%d", n), About: fmt.Sprintf("1 KB GET over %d routes by host and path", n),
			Method: "GET", Path: "/1k", Length: 1 << 10, Conns: 128, Routes: n,
		})
	}
	return list
}

// Select picks the case of that name or those that the regular expression
// matches; all when it is empty.
func Select(pattern string) ([]Case, error) {
	all := Cases()
	for _, c := range all {
		if c.Name == pattern {
			return []Case{c}, nil
		}
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	var names []string
	var picked []Case
	for _, c := range all {
		names = append(names, c.Name)
		if re.MatchString(c.Name) {
			picked = append(picked, c)
		}
	}
	if len(picked) == 0 {
		return nil, fmt.Errorf("no case matches %q; there are %s", pattern, strings.Join(names, ", "))
	}
	return picked, nil
}

// Hosts is the site of the case: routes spread over up to 1,000 hosts.
func (c Case) Hosts() []peers.Host {
	if c.Routes == 0 {
		return []peers.Host{{Name: "bench.example.com", Prefixes: []string{"/"}}}
	}
	perHost := 1
	for perHost < 100 && perHost*perHost < c.Routes {
		perHost *= 10
	}
	hosts := make([]peers.Host, c.Routes/perHost)
	for h := range hosts {
		hosts[h].Name = fmt.Sprintf("h%03d.bench.example.com", h)
		for p := range perHost {
			hosts[h].Prefixes = append(hosts[h].Prefixes, fmt.Sprintf("/r%02d", p))
		}
	}
	return hosts
}

// Targets ask for every route of the site once, in an order without pattern
// that is the same in every run.
func (c Case) Targets() []load.Target {
	var list []load.Target
	for _, h := range c.Hosts() {
		for _, p := range h.Prefixes {
			list = append(list, load.Target{Host: h.Name, Path: strings.TrimSuffix(p, "/") + c.Path})
		}
	}
	shuffled(list)
	return list
}
