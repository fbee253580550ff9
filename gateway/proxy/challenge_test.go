package proxy

import (
	"strings"
	"testing"
)

// pending are challenges of this gateway and of others.
type pending struct {
	active      bool
	own, others map[string]string
}

func (p *pending) Active() bool { return p.active }

func (p *pending) Token(token []byte) []byte { return found(p.own, string(token)) }

func (p *pending) StoredToken(token string) []byte { return found(p.others, token) }

func found(in map[string]string, token string) []byte {
	if answer, ok := in[token]; ok {
		return []byte(answer)
	}
	return nil
}

// Pending challenges are answered before there is any route; everything else goes
// its way, also on connections that are used again.
func TestChallenge(t *testing.T) {
	s, _ := forwarding(t, nil, func(p *peer, _ int) {
		for {
			r, _ := p.ask()
			if r == nil {
				return
			}
			p.ok("origin " + r.URL.Path)
		}
	})
	challenges := &pending{active: true, own: map[string]string{"own": "own.key"}, others: map[string]string{"other": "other.key"}}
	s.loop.Do(func() { s.proxy.Challenges = challenges })
	const path = "/.well-known/acme-challenge/"
	client := s.dial()
	ask := func(method, path string) (int, string) {
		length := ""
		if method == "POST" {
			length = "Content-Length: 0\r\n"
		}
		client.send("%s %s HTTP/1.1\r\nHost: test\r\n%s\r\n", method, path, length)
		response, body := client.answer(method)
		return response.StatusCode, body
	}
	for _, c := range []struct{ method, path, want string }{
		{"GET", path + "own", "own.key"},
		{"GET", path + "none", "origin " + path + "none"},
		{"GET", path + "other", "other.key"},
		{"GET", path + "none", "origin " + path + "none"},
		{"GET", "/", "origin /"},
		{"POST", path + "own", "origin " + path + "own"},
		{"GET", path, "origin " + path},
		{"GET", path + "own/more", "origin " + path + "own/more"},
		{"GET", path + "own?a=b", "own.key"},
		{"HEAD", path + "own", ""},
	} {
		status, body := ask(c.method, c.path)
		if status != 200 || body != c.want {
			t.Errorf("%s %s: %d %q, not %q", c.method, c.path, status, body, c.want)
		}
		if r := s.record(); (r.Route == "acme-challenge") == strings.HasPrefix(c.want, "origin") {
			t.Errorf("%s %s: route %q", c.method, c.path, r.Route)
		}
	}
	s.loop.Do(func() { challenges.active = false })
	if _, body := ask("GET", path+"own"); body != "origin "+path+"own" {
		t.Errorf("answered while nothing can be pending: %q", body)
	}
	s.record()
	client.Close()
	s.quiet()
}
