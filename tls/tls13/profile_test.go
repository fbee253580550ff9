//lint:file-ignore SA1019 the other implementation of SM2 takes the form of crypto/elliptic

package tls13

import (
	"bytes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/emmansun/gmsm/sm4"
	"github.com/emmansun/gmsm/smx509"
	tjfoc "github.com/tjfoc/gmsm/sm2"
)

// TestSM4GCM is the vector of RFC 8998, appendix A.1.
func TestSM4GCM(t *testing.T) {
	block, err := sm4.NewCipher(unhex(t, "0123456789ABCDEFFEDCBA9876543210"))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	sealed := aead.Seal(nil, unhex(t, "00001234567800000000ABCD"), unhex(t, `
		AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCCDDDDDDDDDDDDDDDD
		EEEEEEEEEEEEEEEEFFFFFFFFFFFFFFFFEEEEEEEEEEEEEEEEAAAAAAAAAAAAAAAA`),
		unhex(t, "FEEDFACEDEADBEEFFEEDFACEDEADBEEFABADDAD2"))
	if want := unhex(t, `
		17F399F08C67D5EE19D0DC9969C4BB7D5FD46FD3756489069157B282BB200735
		D82710CA5C22F0CCFA7CBF93D496AC15A56834CBCF98C397B4024A2691233B8D
		83DE3541E4C2B58177E065A9BF7B62EC`); !bytes.Equal(sealed, want) {
		t.Errorf("%X", sealed)
	}
}

// TestSignatureForOpenSSL has OpenSSL verify what we sign, and verifies what it signs, under
// the identity of RFC 8998 §3.2.1.
func TestSignatureForOpenSSL(t *testing.T) {
	key, dir := newKey(t), t.TempDir()
	message := signedContent(serverSignature, []byte("a transcript's hash, so to speak"))
	path := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if content != nil {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return path
	}
	public, err := smx509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	options := []string{"-rawin", "-digest", "sm3", "-in", path("message", message), "-pkeyopt", "distid:" + signerID}
	ours := must(signSM2(rand.Reader, key, message))
	out, err := openssl(t, append([]string{"pkeyutl", "-verify", "-pubin", "-inkey", pemFile(t, dir, "public.pem", "PUBLIC KEY", public),
		"-sigfile", path("ours", ours)}, options...)...).CombinedOutput()
	if err != nil {
		t.Errorf("OpenSSL does not accept our signature: %v\n%s", err, out)
	}
	out, err = openssl(t, append([]string{"pkeyutl", "-sign", "-inkey", keyFile(t, dir, key), "-out", path("theirs", nil)}, options...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	theirs, err := os.ReadFile(path("theirs", nil))
	if err != nil {
		t.Fatal(err)
	}
	if !verifySM2(key.Public(), message, theirs) {
		t.Error("OpenSSL's signature is not accepted")
	}
	theirs[len(theirs)-1] ^= 1
	if verifySM2(key.Public(), message, theirs) {
		t.Error("a signature that was changed is accepted")
	}
	if verifySM2(key.Public(), message[1:], ours) {
		t.Error("a signature of another message is accepted")
	}
}

// TestOtherKeys: a key that is not of SM2 has no SM2 signatures, whatever they look like.
func TestOtherKeys(t *testing.T) {
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signature := must(signSM2(rand.Reader, newKey(t), []byte("message")))
	for _, key := range []any{other.Public(), nil, "a key"} {
		if verifySM2(key, []byte("message"), signature) {
			t.Errorf("a signature of %T", key)
		}
	}
}

// TestSharedSecret compares the key exchange with another implementation's arithmetic.
func TestSharedSecret(t *testing.T) {
	curve := tjfoc.P256Sm2()
	for range 8 {
		ours, err := newSM2Share(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		d, x, y, err := elliptic.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		peer := append(append([]byte{4}, x.FillBytes(make([]byte, 32))...), y.FillBytes(make([]byte, 32))...)
		got, err := ours.shared(peer)
		if err != nil {
			t.Fatal(err)
		}
		px, py := elliptic.Unmarshal(curve, ours.public())
		if px == nil {
			t.Fatal("our part is not a point on the curve")
		}
		sx, _ := curve.ScalarMult(px, py, d)
		if want := sx.FillBytes(make([]byte, 32)); !bytes.Equal(got, want) {
			t.Fatalf("%x, want %x", got, want)
		}
	}
}
