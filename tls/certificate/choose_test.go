package certificate

import (
	"crypto/tls"
	"testing"
	"time"
)

func TestChoose(t *testing.T) {
	gm, single := named("gm", SM2, 256), named("single", SM2, 256)
	gm.Encryption = named("gm", SM2, 256)
	p256, p384, p521 := named("p256", ECDSA, 256), named("p384", ECDSA, 384), named("p521", ECDSA, 521)
	ed, rsa := named("ed", Ed25519, 256), named("rsa", RSA, 2048)
	all := []*Certificate{single, gm, p256, p384, p521, ed, rsa}

	modern := []uint16{0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601}
	tls13 := []uint16{0x1301, 0x1302, 0x1303}
	groups := []uint16{29, 23, 24}
	ecdsa12, rsa12 := []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	for name, test := range map[string]struct {
		from  []*Certificate
		offer Offer
		want  *Certificate
	}{
		"a browser":                      {all, Offer{tls.VersionTLS13, tls13, modern, groups}, p256},
		"1.3, P-384 only":                {all, Offer{tls.VersionTLS13, tls13, []uint16{0x0503, 0x0804}, groups}, p384},
		"1.3, P-521 only":                {all, Offer{tls.VersionTLS13, tls13, []uint16{0x0603}, groups}, p521},
		"1.3, Ed25519 and RSA":           {all, Offer{tls.VersionTLS13, tls13, []uint16{0x0807, 0x0804}, groups}, ed},
		"1.3, RSA":                       {all, Offer{tls.VersionTLS13, tls13, []uint16{0x0804}, groups}, rsa},
		"1.3, PKCS#1 does not sign":      {all, Offer{tls.VersionTLS13, tls13, []uint16{0x0401}, groups}, nil},
		"1.3, none":                      {all, Offer{tls.VersionTLS13, tls13, nil, groups}, nil},
		"1.3, SM and others":             {all, Offer{tls.VersionTLS13, []uint16{0x1301, 0x00c6}, append(modern, 0x0708), []uint16{29, 41}}, single},
		"1.3, SM without its suite":      {all, Offer{tls.VersionTLS13, tls13, append(modern, 0x0708), []uint16{29, 41}}, p256},
		"1.3, SM without its group":      {all, Offer{tls.VersionTLS13, []uint16{0x00c6}, []uint16{0x0708}, groups}, nil},
		"1.3, SM without its scheme":     {all, Offer{tls.VersionTLS13, []uint16{0x00c6}, modern, []uint16{41}}, p256},
		"TLCP takes the pair":            {all, Offer{Version: 0x0101, Suites: []uint16{0xe053}}, gm},
		"TLCP without a pair":            {[]*Certificate{single, rsa}, Offer{Version: 0x0101, Suites: []uint16{0xe053}}, nil},
		"1.2, ECDSA first":               {all, Offer{tls.VersionTLS12, append(ecdsa12, rsa12...), modern, groups}, p256},
		"1.2, no ECDSA suite":            {all, Offer{tls.VersionTLS12, rsa12, modern, groups}, rsa},
		"1.2, no group of the curve":     {all, Offer{tls.VersionTLS12, append(ecdsa12, rsa12...), modern, []uint16{29}}, rsa},
		"1.2, only P-384's group":        {all, Offer{tls.VersionTLS12, append(ecdsa12, rsa12...), modern, []uint16{29, 24}}, p384},
		"1.2, any hash for any curve":    {all, Offer{tls.VersionTLS12, ecdsa12, []uint16{0x0603}, groups}, p256},
		"1.2, Ed25519":                   {all, Offer{tls.VersionTLS12, ecdsa12, []uint16{0x0807}, groups}, ed},
		"1.2, PKCS#1":                    {all, Offer{tls.VersionTLS12, rsa12, []uint16{0x0401}, groups}, rsa},
		"1.2, SHA-1 only":                {all, Offer{tls.VersionTLS12, rsa12, []uint16{0x0201}, groups}, nil},
		"1.2, no schemes, no groups":     {all, Offer{tls.VersionTLS12, append(ecdsa12, rsa12...), nil, nil}, p256},
		"1.2, RSA decryption":            {all, Offer{tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}, nil, nil}, nil},
		"1.2, no SM2 in it":              {[]*Certificate{single, gm}, Offer{tls.VersionTLS12, ecdsa12, append(modern, 0x0708), []uint16{41}}, nil},
		"the order of the list comes in": {[]*Certificate{rsa, p256}, Offer{tls.VersionTLS13, tls13, modern, groups}, rsa},
		"nothing to choose from":         {nil, Offer{tls.VersionTLS13, tls13, modern, groups}, nil},
	} {
		if got := Choose(test.from, &test.offer, noon); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestChooseAvoidsTheExpired(t *testing.T) {
	old, good := named("old", ECDSA, 256), named("good", RSA, 2048)
	old.NotAfter = noon.Add(-time.Second)
	early := named("early", ECDSA, 256)
	early.NotBefore = noon.Add(time.Second)
	offer := &Offer{Version: tls.VersionTLS13, Schemes: []uint16{0x0403, 0x0804}}
	if got := Choose([]*Certificate{old, early, good}, offer, noon); got != good {
		t.Errorf("%v, want the one that is valid", got)
	}
	if got := Choose([]*Certificate{old, early}, offer, noon); got != old {
		t.Errorf("%v, want the first where none is valid", got)
	}
}

// A certificate whose key cannot be loaded does not stand in the way of another.
func TestChooseAvoidsBrokenKeys(t *testing.T) {
	broken, old, good := named("broken", ECDSA, 256), named("old", RSA, 2048), named("good", RSA, 2048)
	broken.key.state.Store(&loaded{err: errBrokenKey})
	old.NotAfter = noon.Add(-time.Second)
	offer := &Offer{Version: tls.VersionTLS13, Schemes: []uint16{0x0403, 0x0804}}
	for _, test := range []struct {
		from []*Certificate
		want *Certificate
	}{{[]*Certificate{broken, old, good}, good}, {[]*Certificate{broken, old}, old}, {[]*Certificate{broken}, broken}} {
		if got := Choose(test.from, offer, noon); got != test.want {
			t.Errorf("%v of %v, want %v", got, test.from, test.want)
		}
	}

	halved, whole := named("halved", SM2, 256), named("whole", SM2, 256)
	halved.Encryption, whole.Encryption = named("e", SM2, 256), named("e", SM2, 256)
	halved.Encryption.key.state.Store(&loaded{err: errBrokenKey})
	if got := Choose([]*Certificate{halved, whole}, &Offer{Version: 0x0101}, noon); got != whole {
		t.Errorf("TLCP: %v, want the pair of which both keys are good", got)
	}
	offer = &Offer{Version: tls.VersionTLS13, Suites: []uint16{0x00c6}, Schemes: []uint16{0x0708}, Groups: []uint16{41}}
	if got := Choose([]*Certificate{halved, whole}, offer, noon); got != halved {
		t.Errorf("TLS 1.3: %v, want the first: the encryption key has no part in it", got)
	}
}
