//go:build cgo && !noopenssl

package openssl

// #include <stdlib.h>
// #include <string.h>
// #include <openssl/crypto.h>
// #include "evp.h"
import "C"

import (
	"fmt"
	"strings"
	"unsafe"
)

// LoadPKCS11 finds a private key in a PKCS#11 token by its URI (RFC 7512), as
// "pkcs11:token=edge;object=www?pin-source=file:/run/secrets/pin". It talks to the
// token and may block; so may every Sign. A PIN that the token refuses is ErrPIN.
// Errors never cite the URI, which may hold a PIN.
func LoadPKCS11(text string, t Token) (*Key, error) {
	u, err := parseURI(text)
	if err != nil {
		return nil, err
	}
	pin, err := t.readPIN(u)
	if err != nil {
		return nil, err
	}
	if t.Module == "" {
		t.Module = u.module
	}
	if strings.ContainsRune(t.Module, 0) {
		return nil, errURI
	}
	hash := pinHash(t.Module, u, pin)
	if t.Refused.has(hash) {
		return nil, ErrPIN
	}
	k, err := find(withPIN(u.key, pin), t.Module)
	if refusedPIN(err) {
		t.Refused.add(hash)
		return nil, fmt.Errorf("%w (%s)", ErrPIN, strings.TrimPrefix(err.Error(), "openssl: "))
	}
	return k, err
}

func find(uri, module string) (*Key, error) {
	if hasProvider("pkcs11") {
		return loadStore(uri)
	}
	return loadEngine(uri, module)
}

func hasProvider(name string) bool {
	cName := C.CString(name)
	defer C.free(unsafe.Pointer(cName))
	return C.longmen_has_provider(cName) != 0
}

// loadStore takes a private key from a URI whose scheme a provider knows.
func loadStore(uri string) (*Key, error) {
	cURI := C.CString(uri)
	defer wiped(cURI)
	return newKey(C.longmen_load_store(cURI))
}

func loadEngine(uri, module string) (*Key, error) {
	cURI, cModule := C.CString(uri), C.CString(module)
	defer wiped(cURI)
	defer C.free(unsafe.Pointer(cModule))
	return newKey(C.longmen_load_engine(cURI, cModule))
}

// wiped frees a text that may hold a PIN.
func wiped(text *C.char) {
	C.OPENSSL_cleanse(unsafe.Pointer(text), C.strlen(text))
	C.free(unsafe.Pointer(text))
}
