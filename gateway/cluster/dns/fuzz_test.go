package dns

import (
	"testing"

	"github.com/miekg/dns"
)

// Whatever the system's files hold, what is made of them can be used.
func FuzzFiles(f *testing.F) {
	for _, seed := range []string{"127.0.0.1 a b # c\n::1 a\n", "nameserver 192.0.2.1\nsearch a b.\noptions ndots:99 timeout:99 attempts:99\n", "nameserver\nsearch\noptions\ndomain\n", "fe80::1%eth0 x\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for name, list := range parseHosts(text) {
			if len(list) == 0 {
				t.Errorf("%q has %v", name, list)
			}
		}
		s := parseResolvConf(text)
		if len(s.addresses) == 0 || len(s.addresses) > 3 || s.attempts < 1 || s.attempts > 5 || s.timeout < 1 {
			t.Errorf("%+v", s)
		}
		if len(s.names("web")) == 0 {
			t.Error("no name to ask for")
		}
	})
}

// Whatever an answer holds, its addresses can be taken out of it.
func FuzzAddresses(f *testing.F) {
	for _, text := range []string{"a. 30 IN A 192.0.2.1", "a. 30 IN CNAME b.", "a. 30 IN AAAA ::ffff:192.0.2.1"} {
		record, err := dns.NewRR(text)
		if err != nil {
			f.Fatal(err)
		}
		m := new(dns.Msg).SetQuestion("a.", dns.TypeA)
		m.Answer = []dns.RR{record}
		wire, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
	}
	question := new(dns.Msg).SetQuestion("a.", dns.TypeA)
	f.Fuzz(func(t *testing.T, wire []byte) {
		m := new(dns.Msg)
		if m.Unpack(wire) != nil {
			return
		}
		m.Id = question.Id
		if !answers(m, question) {
			return
		}
		list, ttl := addresses(m)
		if len(list) > 0 && (ttl < 0 || ttl.Seconds() > 1<<32) {
			t.Errorf("TTL %s", ttl)
		}
		for _, a := range list {
			if !a.IsValid() {
				t.Errorf("addresses %v", list)
			}
		}
	})
}
