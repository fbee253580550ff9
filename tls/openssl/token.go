//go:build cgo && !noopenssl

package openssl

// #include <stdlib.h>
// #include "evp.h"
import "C"

import (
	"errors"
	"strings"
	"unsafe"
)

// maxURI bounds a key's URI, in bytes.
const maxURI = 4096

// LoadPKCS11 finds a private key in a PKCS#11 token by its URI (RFC 7512), as
// "pkcs11:token=edge;object=www;type=private". It talks to the token and may
// block; so may every Sign. Errors never cite the URI, which may hold a PIN.
func LoadPKCS11(uri string, t Token) (*Key, error) {
	if !strings.HasPrefix(uri, "pkcs11:") {
		return nil, errors.New("openssl: a token's key has a URI of the scheme pkcs11")
	}
	if len(uri) > maxURI || strings.ContainsRune(uri+t.Module+t.PIN, 0) {
		return nil, errors.New("openssl: the URI of a token's key is too long or holds a zero byte")
	}
	uri = withPIN(uri, t.PIN)
	if hasProvider("pkcs11") {
		return loadStore(uri)
	}
	return loadEngine(uri, t.Module)
}

func hasProvider(name string) bool {
	cName := C.CString(name)
	defer C.free(unsafe.Pointer(cName))
	return C.longmen_has_provider(cName) != 0
}

// loadStore takes a private key from a URI whose scheme a provider knows.
func loadStore(uri string) (*Key, error) {
	cURI := C.CString(uri)
	defer C.free(unsafe.Pointer(cURI))
	return newKey(C.longmen_load_store(cURI))
}

func loadEngine(uri, module string) (*Key, error) {
	cURI, cModule := C.CString(uri), C.CString(module)
	defer C.free(unsafe.Pointer(cURI))
	defer C.free(unsafe.Pointer(cModule))
	return newKey(C.longmen_load_engine(cURI, cModule))
}

// withPIN adds pin to a URI that says nothing of one (RFC 7512 section 2.4).
func withPIN(uri, pin string) string {
	path, query, _ := strings.Cut(uri, "?")
	if pin == "" || strings.Contains(query, "pin-value=") || strings.Contains(query, "pin-source=") {
		return uri
	}
	if query != "" {
		query += "&"
	}
	return path + "?" + query + "pin-value=" + percent(pin)
}

// percent writes every byte but letters and digits as %XX.
func percent(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(s) {
		if c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}
