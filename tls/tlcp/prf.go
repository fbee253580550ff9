package tlcp

import (
	"crypto/hmac"
	"hash"

	"github.com/emmansun/gmsm/sm3"
)

// prf fills out with PRF(secret, label, seed...) (GB/T 38636 §5.2): P_hash of RFC 5246 §5 with
// HMAC-SM3.
func prf(out, secret []byte, label string, seeds ...[]byte) {
	mac := hmac.New(func() hash.Hash { return sm3.New() }, secret)
	seed := func() {
		mac.Write([]byte(label))
		for _, s := range seeds {
			mac.Write(s)
		}
	}
	seed()
	var a, block [sm3.Size]byte
	mac.Sum(a[:0]) // A(1)
	for len(out) > 0 {
		mac.Reset()
		mac.Write(a[:])
		seed()
		out = out[copy(out, mac.Sum(block[:0])):]
		mac.Reset()
		mac.Write(a[:])
		mac.Sum(a[:0])
	}
}

func masterSecret(premaster, clientRandom, serverRandom []byte) []byte {
	master := make([]byte, secretLen)
	prf(master, premaster, "master secret", clientRandom, serverRandom)
	return master
}

// finished is the verify_data of a Finished (GB/T 38636 §6.4.5.10).
func finished(master []byte, label string, transcript hash.Hash) []byte {
	out := make([]byte, finishedLen)
	prf(out, master, label, transcript.Sum(nil))
	return out
}

const (
	clientFinished = "client finished"
	serverFinished = "server finished"
)

// keyBlock is what the keys are cut from (GB/T 38636 §6.5.2). In CBC suites the record layer has
// its own IVs, so the block's are not used.
type keyBlock struct {
	clientMAC, serverMAC, clientKey, serverKey, clientIV, serverIV []byte
}

const sm4Key = 16

func deriveKeys(suite uint16, master, clientRandom, serverRandom []byte) keyBlock {
	macLen, ivLen := 0, 4 // GCM: the implicit part of the nonce
	if suite == ECC_SM4_CBC_SM3 || suite == ECDHE_SM4_CBC_SM3 {
		macLen, ivLen = sm3.Size, 16
	}
	block := make([]byte, 2*(macLen+sm4Key+ivLen))
	prf(block, master, "key expansion", serverRandom, clientRandom)
	cut := func(n int) []byte {
		part := block[:n:n]
		block = block[n:]
		return part
	}
	return keyBlock{cut(macLen), cut(macLen), cut(sm4Key), cut(sm4Key), cut(ivLen), cut(ivLen)}
}
