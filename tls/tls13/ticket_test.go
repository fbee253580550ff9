package tls13

import (
	"bytes"
	"crypto/tls"
	"testing"
	"time"

	"longmen/tls/replay"
)

func TestNewTicket(t *testing.T) {
	p := newNISTPair(t)
	config := &ServerConfig{Certificate: p.server, Tickets: &plainTickets{}, Time: atNoon,
		EarlyData: &EarlyData{Most: 500, Protocols: []string{"http/1.1"}, Once: replay.New(time.Minute), Remember: 1}}
	psk := bytes.Repeat([]byte{7}, 48)
	message, ticket, err := NewTicket(config, Resumption{Suite: tls.TLS_AES_256_GCM_SHA384, PSK: psk, ServerName: "Server.Test", Protocol: "http/1.1"})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parseNewSessionTicket(message)
	if err != nil || parsed.early != 500 || len(parsed.nonce) != 0 || !bytes.Equal(parsed.ticket, ticket) || parsed.lifetime != 24*60*60 {
		t.Fatalf("%+v, %v", parsed, err)
	}
	held, ok := parseSession(ticket)
	if !ok || held.serverName != "server.test" || !bytes.Equal(held.psk, psk) || held.early.ageAdd != parsed.ageAdd || held.early.origin != config.EarlyData.Once.Origin() ||
		held.early.protocol != "http/1.1" || !held.created.Equal(noon) || held.suite != tls.TLS_AES_256_GCM_SHA384 {
		t.Fatalf("%+v", held)
	}
	for _, r := range []Resumption{{Suite: tls.TLS_AES_256_GCM_SHA384, PSK: psk, Protocol: "h2"}, {Suite: tls.TLS_AES_256_GCM_SHA384, PSK: psk}} {
		if message, ticket, err := NewTicket(config, r); message != nil || ticket != nil || err != nil {
			t.Errorf("%q: %x, %v", r.Protocol, message, err)
		}
	}
	if _, _, err := NewTicket(config, Resumption{Suite: tls.TLS_AES_128_GCM_SHA256, PSK: psk, Protocol: "http/1.1"}); err == nil {
		t.Error("a PSK of another hash")
	}
	config.EarlyData.Most = 0
	if message, _, _ := NewTicket(config, Resumption{Suite: tls.TLS_AES_256_GCM_SHA384, PSK: psk, Protocol: "http/1.1"}); message != nil {
		t.Error("a ticket for no early data")
	}
}

// Returning cuts a hello that is one at every byte: none of what is left is.
func TestReturning(t *testing.T) {
	p := newEarlyPair(t)
	e, client, _ := p.shake(t, "early data", nil)
	if client.err != nil {
		t.Fatal(client.err)
	}
	hello := bytes.Clone(e.hello.raw)
	if !Returning(p.server, hello) {
		t.Fatal("early data")
	}
	for n := range hello {
		if Returning(p.server, hello[:n]) {
			t.Fatalf("cut at %d", n)
		}
	}
	e.hello.earlyData = false
	message := must(e.hello.marshal())
	if !Returning(p.server, message) {
		t.Error("a ticket of ours")
	}
	p.server.Tickets = &plainTickets{refuse: true}
	if Returning(p.server, message) {
		t.Error("a ticket of another's")
	}
	p.server.Tickets = nil
	if Returning(p.server, message) {
		t.Error("without tickets")
	}
	if Returning(p.server, unhex(t, rfc8448Resumed)) {
		t.Error("what is no hello")
	}
}
