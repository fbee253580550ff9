package router

import (
	"net/netip"
	"strings"
	"testing"

	"longmen/gateway/protocol/grpc"
)

func TestGRPCRules(t *testing.T) {
	method := &Route{Name: "method", Match: Match{Path: "/a.B/C", GRPC: true}}
	service := &Route{Name: "service", Match: Match{RawPrefix: "/a.B/", GRPC: true}}
	all := &Route{Name: "all", Match: Match{RawPrefix: "/", GRPC: true}}
	rest := &Route{Name: "rest", Match: Match{RawPrefix: "/"}}
	table, problems := New([]*VirtualHost{{Domains: []string{"*"}, Routes: []*Route{method, service, all, rest}}})
	if table == nil || len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, c := range []struct {
		method, path, contentType string
		want                      *Route
	}{
		{"POST", "/a.B/C", "application/grpc", method},
		{"POST", "/a.B/C", "application/grpc+json", method},
		{"POST", "/a.B/D", "application/grpc", service},
		{"POST", "/a.B", "application/grpc", all},
		{"POST", "/a.b/C", "application/grpc", all},
		{"POST", "/a.B/C", "application/grpc-web", rest},
		{"POST", "/a.B/C", "application/json", rest},
		{"POST", "/a.B/C", "", rest},
		{"GET", "/a.B/C", "application/grpc", rest},
	} {
		r := newRequest(c.method, "x", c.path)
		if c.contentType != "" {
			r.Header.AddString("content-type", c.contentType)
		}
		if got := table.Find(r, netip.Addr{}, 0); got != c.want {
			t.Errorf("%s %s %s: %s, want %s", c.method, c.path, c.contentType, nameOf(got), nameOf(c.want))
		}
	}
	steps := table.Explain(newRequest("GET", "x", "/a.B/C"), netip.Addr{}, 0)
	if got := steps[1].Why; got != "not a gRPC call (POST, content-type: application/grpc)" {
		t.Error(got)
	}
	if got := method.describe(); got != "path /a.B/C, gRPC" {
		t.Error(got)
	}
}

// A rule for all requests leaves none to one for gRPC calls, and not the other
// way about.
func TestGRPCShadows(t *testing.T) {
	plain, calls := Match{RawPrefix: "/a/"}, Match{RawPrefix: "/a/", GRPC: true}
	for _, c := range []struct {
		first, second Match
		shadowed      bool
	}{{plain, calls, true}, {calls, plain, false}, {calls, calls, true}} {
		_, problems := New([]*VirtualHost{{Domains: []string{"*"}, Routes: []*Route{{Match: c.first}, {Match: c.second}}}})
		if got := len(problems) == 1 && strings.Contains(problems[0].Text, "no request reaches this rule"); got != c.shadowed {
			t.Errorf("%+v before %+v: %v", c.first, c.second, problems)
		}
	}
}

func TestRetryOnGRPC(t *testing.T) {
	conditions := map[grpc.Code]RetryOn{
		grpc.Cancelled: OnCancelled, grpc.DeadlineExceeded: OnDeadlineExceeded, grpc.Internal: OnInternal,
		grpc.ResourceExhausted: OnResourceExhausted, grpc.Unavailable: OnUnavailable,
	}
	for code := range grpc.Code(grpc.CodeCount + 1) {
		on := conditions[code]
		if got := RetryOn(0xffff).GRPC(code); got != (on != 0) {
			t.Errorf("%v: %v", code, got)
		}
		if on != 0 && (!on.GRPC(code) || (RetryOn(0xffff) &^ on).GRPC(code) || on&OnGRPC == 0) {
			t.Errorf("%v is not %b alone", code, on)
		}
	}
}

func TestGRPCFindDoesNotAllocate(t *testing.T) {
	table, _ := New([]*VirtualHost{{Domains: []string{"*"}, Routes: []*Route{{Match: Match{Path: "/a.B/C", GRPC: true}}}}})
	r := newRequest("POST", "x", "/a.B/C")
	r.Header.AddString("content-type", "application/grpc")
	var route *Route
	if n := testing.AllocsPerRun(100, func() { route = table.Find(r, netip.Addr{}, 0) }); n != 0 || route == nil {
		t.Errorf("%v allocations, %s", n, nameOf(route))
	}
}
