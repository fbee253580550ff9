package proxy

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/router"
	"longmen/gateway/upstream/origintest"
)

// measured is a stage whose cluster balances by answers.
func measured(t *testing.T, algorithm cluster.Balance, serve func(p *peer, n int)) (*stage, *origintest.Origin) {
	origin := newOrigin(t, serve)
	config := clusterOf("c", origin.At)
	config.Balance = algorithm
	return newStage(t, settings{routes: []*router.Route{to("/", nil)}, clusters: []*cluster.Config{config}}), origin
}

// The balancer learns how long an answer took, and what failed.
func TestAnswersAreMeasured(t *testing.T) {
	const slow = 30 * time.Millisecond
	serve := func(p *peer, _ int) {
		for {
			r, _ := p.ask()
			switch {
			case r == nil:
				return
			case r.URL.Path == "/slow":
				time.Sleep(slow)
				p.ok("")
			case r.URL.Path == "/bad":
				p.send("HTTP/1.1 503 Status\r\ncontent-length: 0\r\n\r\n")
			case r.URL.Path == "/unknown":
				p.send("HTTP/1.1 501 Status\r\ncontent-length: 0\r\n\r\n")
			case r.URL.Path == "/broken":
				p.send("nonsense\r\n\r\n")
				return
			}
		}
	}
	s, origin := measured(t, cluster.PeakEWMA, serve)
	known := &s.endpoint(origin.At).Latency
	s.get("/slow")
	if got := known.Average(); got < int64(slow)*99/100 || known.Failures() != 0 {
		t.Errorf("an answer that takes %v makes the average %v, failures %v", slow, time.Duration(got), known.Failures())
	}
	s.get("/unknown")
	if got := known.Failures(); got != 0 {
		t.Errorf("501 makes %v failures", got)
	}
	s.get("/bad")
	first := known.Failures()
	s.get("/broken")
	if second := known.Failures(); first == 0 || second <= first {
		t.Errorf("503 makes %v failures, and nonsense %v", first, second)
	}
	if got := known.Average(); got < int64(slow)/2 {
		t.Errorf("quick failures make the average %v", time.Duration(got))
	}

	s, origin = measured(t, cluster.LeastRequest, serve)
	s.get("/slow")
	s.get("/bad")
	if known := &s.endpoint(origin.At).Latency; known.Average() != 0 || known.Failures() != 0 {
		t.Errorf("least request measures %d and %v", known.Average(), known.Failures())
	}
}

// How long the client takes for its body is not the endpoint's time.
func TestUploadsAreNotMeasured(t *testing.T) {
	s, origin := measured(t, cluster.PeakEWMA, func(p *peer, _ int) {
		p.head() // and no body yet
		p.ok("early")
		p.ended()
	})
	client := s.dial()
	client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n12345")
	if _, body := client.answer("POST"); body != "early" {
		t.Errorf("answered %q", body)
	}
	if known := &s.endpoint(origin.At).Latency; known.Average() != 0 {
		t.Errorf("the average is %d", known.Average())
	}
}

// A client that goes away has waited in vain for so long.
func TestAbandonedTriesAreMeasured(t *testing.T) {
	asked := make(chan struct{})
	s, origin := measured(t, cluster.PeakEWMA, func(p *peer, _ int) {
		p.ask()
		close(asked)
		p.ended()
	})
	client := s.dial()
	client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
	<-asked
	client.reset()
	known := &s.endpoint(origin.At).Latency
	s.until("the endpoint is known to be slow", func() bool { return known.Average() > 0 })
	if known.Failures() != 0 {
		t.Errorf("failures %v", known.Failures())
	}
}

// An endpoint that takes no connection has failed.
func TestRefusalsAreMeasured(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := netip.MustParseAddrPort(l.Addr().String())
	l.Close()
	config := clusterOf("c", nobody)
	config.Balance = cluster.PeakEWMA
	s := newStage(t, settings{routes: []*router.Route{to("/", nil)}, clusters: []*cluster.Config{config}})
	s.get("/")
	if known := &s.endpoint(nobody).Latency; known.Failures() < 0.9 || known.Average() < int64(100*time.Millisecond)*99/100 {
		t.Errorf("failures %v, average %d", known.Failures(), known.Average())
	}
}
