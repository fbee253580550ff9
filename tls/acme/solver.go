package acme

import (
	"context"
	"crypto/tls"
	"encoding/json"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
)

// A solver makes challenges of one kind pending: here, and for the others that
// share the storage.
type solver struct {
	challenges *Challenges
	folder     folder
}

// Present is called before the authority is asked to try.
func (s *solver) Present(ctx context.Context, c acme.Challenge) error {
	what, made, err := s.answer(c)
	if err != nil {
		return err
	}
	text, err := json.Marshal(stored{Host: c.Identifier.Value, KeyAuthorization: c.KeyAuthorization})
	if err != nil {
		return err
	}
	if err := s.folder.storage.Store(ctx, s.folder.key(c.Type, what), text); err != nil {
		return err
	}
	s.challenges.change(func(p *pending) {
		if made != nil {
			p.names[what] = made
		} else {
			p.tokens[what] = []byte(c.KeyAuthorization)
		}
	})
	return nil
}

// answer is what a challenge is found by, and for TLS-ALPN-01 its certificate.
func (s *solver) answer(c acme.Challenge) (what string, made *tls.Certificate, err error) {
	if c.Type == string(HTTP01) {
		if !plainToken(c.Token) {
			return "", nil, errToken
		}
		return c.Token, nil, nil
	}
	if !plainName(c.Identifier.Value) {
		return "", nil, errIdentifier
	}
	made, err = acmez.TLSALPN01ChallengeCert(c)
	return c.Identifier.Value, made, err
}

// CleanUp is called when the authority has tried, whatever came of it.
func (s *solver) CleanUp(ctx context.Context, c acme.Challenge) error {
	what := c.Token
	if c.Type == string(TLSALPN01) {
		what = c.Identifier.Value
	}
	s.challenges.change(func(p *pending) {
		if c.Type == string(TLSALPN01) {
			delete(p.names, what)
		} else {
			delete(p.tokens, what)
		}
	})
	if c.Type == string(HTTP01) && !plainToken(what) || c.Type == string(TLSALPN01) && !plainName(what) {
		return nil // was never stored
	}
	return s.folder.storage.Delete(context.WithoutCancel(ctx), s.folder.key(c.Type, what))
}
