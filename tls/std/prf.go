package std

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"hash"

	"longmen/tls/record"
)

// prf is the pseudorandom function of TLS 1.2 (RFC 5246 §5): n bytes behind out.
func prf(out []byte, newHash func() hash.Hash, secret []byte, label string, seed []byte, n int) []byte {
	mac := hmac.New(newHash, secret)
	// The input of a round: A(i), which is as long as the hash, label and seed.
	round := make([]byte, mac.Size(), mac.Size()+len(label)+len(seed))
	round = append(append(round, label...), seed...)
	mac.Write(round[mac.Size():])
	for end := len(out) + n; ; {
		mac.Sum(round[:0])
		mac.Reset()
		mac.Write(round)
		out = mac.Sum(out)
		if len(out) >= end {
			return out[:end]
		}
		mac.Reset()
		mac.Write(round[:mac.Size()])
	}
}

// halves12 makes both directions of TLS 1.2 from the master secret (RFC 5246 §6.3).
func halves12(suite uint16, master, clientRandom, serverRandom []byte) (client, server *record.Half, err error) {
	_, key, iv, err := record.KeySizes(record.VersionTLS12, suite)
	if err != nil {
		return nil, nil, err
	}
	newHash := sha256.New
	switch suite {
	case tls.TLS_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384:
		newHash = sha512.New384
	}
	seed := append(append(make([]byte, 0, 64), serverRandom...), clientRandom...)
	block := prf(make([]byte, 0, 3*sha512.Size384), newHash, master, "key expansion", seed, 2*(key+iv))
	take := func(n int) []byte {
		b := block[:n]
		block = block[n:]
		return b
	}
	clientKey, serverKey, clientIV, serverIV := take(key), take(key), take(iv), take(iv)
	if client, err = record.NewTLS12(suite, clientKey, clientIV); err != nil {
		return nil, nil, err
	}
	server, err = record.NewTLS12(suite, serverKey, serverIV)
	return client, server, err
}
