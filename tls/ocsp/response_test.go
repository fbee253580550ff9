package ocsp

import (
	"bytes"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"longmen/tls/certificate"
)

func TestParse(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	good := answer{ocsp.Good, now.Add(-time.Hour), now.Add(time.Hour)}
	a := newAuthority(t)
	c, other := a.certificate(), a.certificate()
	signer := &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}}
	tests := []struct {
		name     string
		delegate *x509.Certificate
		by       *authority
		about    *certificate.Certificate
		answer   answer
		want     error // any when it is errAny
	}{
		{"good", nil, a, c, good, nil},
		{"about another", nil, a, other, good, errAny},
		{"by another authority", nil, newAuthority(t), c, good, errAny},
		{"without nextUpdate", nil, a, c, answer{ocsp.Good, now.Add(-time.Hour), time.Time{}}, nil},
		{"without nextUpdate and old", nil, a, c, answer{ocsp.Good, now.Add(-13 * time.Hour), time.Time{}}, errLate},
		{"expired", nil, a, c, answer{ocsp.Good, now.Add(-time.Hour), now}, errLate},
		{"of tomorrow", nil, a, c, answer{ocsp.Good, now.Add(6 * time.Minute), now.Add(time.Hour)}, errEarly},
		{"of a clock that is ahead", nil, a, c, answer{ocsp.Good, now.Add(4 * time.Minute), now.Add(time.Hour)}, nil},
		{"unknown", nil, a, c, answer{ocsp.Unknown, now, now.Add(time.Hour)}, errUnknown},
		{"by a delegate", signer, a, c, good, nil},
		{"by another's delegate", signer, newAuthority(t), c, good, errAny},
		{"by who may not", &x509.Certificate{}, a, c, good, errDelegate},
		{"by a server", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, a, c, good, errDelegate},
		{"by who may no longer", &x509.Certificate{ExtKeyUsage: signer.ExtKeyUsage, NotAfter: now.Add(-time.Minute)}, a, c, good, errOutOfDate},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.by.responder = nil; test.delegate != nil {
				test.by.delegate(test.delegate)
			}
			der := test.by.answer(test.about, test.answer)
			r, err := Parse(der, c.Chain, now)
			switch {
			case test.want == nil:
				if err != nil || !bytes.Equal(r.DER, der) || !r.ThisUpdate.Equal(test.answer.this) || !r.NextUpdate.After(now) {
					t.Errorf("%+v, %v", r, err)
				}
			case err == nil || test.want != errAny && !errors.Is(err, test.want):
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
	a.responder = nil
	_, err := Parse(a.answer(c, answer{ocsp.Revoked, now.Add(-time.Minute), now.Add(time.Hour)}), c.Chain, now)
	if revoked, ok := errors.AsType[*RevokedError](err); !ok || !revoked.At.Equal(now.Add(-time.Minute)) {
		t.Errorf("revoked: %v", err)
	}
	if _, err := Parse(a.answer(c, good), c.Chain[:1], now); !errors.Is(err, errNoIssuer) {
		t.Errorf("no issuer: %v", err)
	}
	if _, err := Parse(make([]byte, MaxResponse+1), c.Chain, now); !errors.Is(err, errLarge) {
		t.Errorf("large: %v", err)
	}
}

var errAny = errors.New("any")

func TestParseCut(t *testing.T) {
	now := time.Now()
	a := newAuthority(t)
	c := a.certificate()
	der := a.answer(c, answer{ocsp.Good, now.Add(-time.Hour), now.Add(time.Hour)})
	for n := range len(der) {
		if _, err := Parse(der[:n], c.Chain, now); err == nil {
			t.Errorf("cut at %d is accepted", n)
		}
		bent := bytes.Clone(der)
		bent[n] ^= 0x81
		if r, err := Parse(bent, c.Chain, now); err == nil && !r.NextUpdate.After(now) {
			t.Errorf("bent at %d: %+v", n, r)
		}
	}
	if _, err := Parse(append(bytes.Clone(der), 0), c.Chain, now); err == nil {
		t.Error("more behind it is accepted")
	}
}

func FuzzParse(f *testing.F) {
	now := time.Now()
	a := newAuthority(f)
	c := a.certificate()
	f.Add(a.answer(c, answer{ocsp.Good, now.Add(-time.Hour), now.Add(time.Hour)}))
	f.Add(a.answer(c, answer{ocsp.Revoked, now, now.Add(time.Hour)}))
	f.Add([]byte{0x30, 3, 0x0a, 1, 6})
	f.Fuzz(func(t *testing.T, der []byte) {
		if r, err := Parse(der, c.Chain, now); (r == nil) != (err != nil) {
			t.Fatalf("%v, %v", r, err)
		}
	})
}

func TestPolicy(t *testing.T) {
	now := time.Now()
	staple := func(from time.Duration) *certificate.Staple {
		return &certificate.Staple{DER: []byte("r"), Expires: now.Add(from)}
	}
	tests := []struct {
		staple                      *certificate.Staple
		lenient, strict, must, flag bool
	}{
		{nil, true, true, false, false},
		{staple(time.Hour), true, true, true, true},
		{staple(-time.Second), true, false, false, false},
	}
	for _, test := range tests {
		c := &certificate.Certificate{}
		c.SetStaple(test.staple)
		if l, s, m := Lenient.Usable(c, now), Strict.Usable(c, now), MustStaple.Usable(c, now); l != test.lenient || s != test.strict || m != test.must {
			t.Errorf("%+v: lenient %v, strict %v, must-staple %v", test.staple, l, s, m)
		}
		c.MustStaple = true
		for p := Lenient; p <= MustStaple; p++ {
			if p.Usable(c, now) != test.flag {
				t.Errorf("%+v with must-staple under %d: %v", test.staple, p, !test.flag)
			}
		}
	}
}
