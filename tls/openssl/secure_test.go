//go:build cgo && !noopenssl

package openssl

import (
	"crypto"
	"crypto/rsa"
	"runtime"
	"testing"
)

// onOneThread keeps the test on a thread whose random generators, which stand
// in the secure heap too, are made already. What it returns ends that.
func onOneThread(t *testing.T) (end func()) {
	t.Helper()
	runtime.LockOSThread()
	for name, source := range goKeys(t) {
		k, err := Load(pkcs8(t, source))
		if err != nil {
			t.Fatal(err)
		}
		if name == "P-256" {
			_, err = k.Sign(nil, make([]byte, 32), crypto.SHA256)
		} else if name == "RSA-1024" {
			_, err = k.Sign(nil, make([]byte, 32), &rsa.PSSOptions{Hash: crypto.SHA256})
		}
		if err != nil {
			t.Fatal(err)
		}
		k.Close()
	}
	return runtime.UnlockOSThread
}

// secureHeapKept looks, when its result is called, that the secure heap is as
// full as it was.
func secureHeapKept(t *testing.T) func() {
	end := onOneThread(t)
	used := SecureHeapUsed()
	return func() {
		if now := SecureHeapUsed(); now != used {
			t.Errorf("the secure heap had %d bytes in use, now %d", used, now)
		}
		end()
	}
}

func TestSecureHeapSize(t *testing.T) {
	for keys, want := range map[int]int{-1: 1 << 20, 0: 1 << 20, 480: 1 << 20, 481: 1 << 21, 10000: 1 << 25, 1 << 40: 1 << 28} {
		if got := secureHeapSize(keys); got != want {
			t.Errorf("%d keys: %d bytes, want %d", keys, got, want)
		}
	}
}

// A full secure heap refuses keys by its own error, keys that it has go on
// signing, and all its memory comes back.
func TestSecureHeapFull(t *testing.T) {
	if _, err := InitSecureHeap(1); err == nil {
		t.Error("the secure heap was made a second time")
	}
	for _, name := range []string{"RSA-2048", "P-256"} {
		source := goKeys(t)[name]
		t.Run(name, func(t *testing.T) { testSecureHeapFull(t, source) })
	}
}

func testSecureHeapFull(t *testing.T, source crypto.Signer) {
	defer secureHeapKept(t)()
	der, used := pkcs8(t, source), SecureHeapUsed()
	var keys []*Key
	var err error
	for err == nil && len(keys) < 2000 {
		var k *Key
		if k, err = Load(der); err == nil {
			keys = append(keys, k)
		}
	}
	t.Logf("%d keys in %d bytes", len(keys), SecureHeapUsed()-used)
	if len(keys) < 480 || err != nil && err != ErrSecureHeapFull {
		t.Errorf("%d keys, then %v", len(keys), err)
	}
	d := make([]byte, 32)
	for _, k := range keys {
		sig, err := k.Sign(nil, d, crypto.SHA256)
		if err == nil {
			err = verify(source.Public(), d, sig, crypto.SHA256)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d bytes after each has signed", SecureHeapUsed()-used)
	for _, k := range keys {
		k.Close()
	}
	k, err := Load(der)
	if err != nil {
		t.Fatal(err)
	}
	k.Close()
}
