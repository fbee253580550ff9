//go:build !cgo || noopenssl

package openssl

import "testing"

func TestUnavailable(t *testing.T) {
	if Available() || Version() != "" || SecureHeapUsed() != 0 {
		t.Errorf("available: %v, version %q, %d bytes of secure heap", Available(), Version(), SecureHeapUsed())
	}
	_, loaded := Load(nil)
	_, token := LoadPKCS11("pkcs11:object=a", Token{})
	_, heap := InitSecureHeap(secureHeapSize(1))
	_, signed := new(Key).Sign(nil, nil, nil)
	for _, err := range []error{loaded, token, heap, signed} {
		if err != ErrUnavailable {
			t.Error(err)
		}
	}
}
