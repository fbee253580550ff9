package openssl

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// maxURI bounds a key's URI, maxPIN a PIN, in bytes.
const (
	maxURI = 4096
	maxPIN = 256
)

var (
	// ErrPIN says that a token refused the PIN. Tokens lock themselves after a few wrong ones, so
	// it must not be tried again.
	ErrPIN = errors.New("openssl: the token refuses the PIN")

	errScheme    = errors.New("openssl: a token's key has a URI of the scheme pkcs11")
	errURI       = errors.New("openssl: the URI of a token's key is too long or holds what no URI may")
	errPercent   = errors.New("openssl: a % in the URI of a token's key without two hexadecimal digits behind it")
	errPINs      = errors.New("openssl: the URI of a token's key has more than one of pin-value and pin-source")
	errPINSource = errors.New("openssl: the pin-source of a token's key is a file (file:/run/secrets/pin) or a variable of the environment (env:PIN)")
	errPINLong   = fmt.Errorf("openssl: the PIN is empty or longer than %d bytes", maxPIN)
)

// A uri is that of a key in a token (RFC 7512). What it says of the module and of the PIN stands
// by itself: not every engine takes these attributes.
type uri struct {
	key     string // the rest
	module  string // module-path
	pin     string // pin-value
	pinFrom string // pin-source
}

// CheckURI says what is wrong with the URI of a key. Errors never cite it: it may hold a PIN.
func CheckURI(text string) error {
	_, err := parseURI(text)
	return err
}

func parseURI(text string) (uri, error) {
	if !strings.HasPrefix(text, "pkcs11:") {
		return uri{}, errScheme
	}
	odd := func(r rune) bool { return r <= ' ' || r > '~' }
	if len(text) > maxURI || strings.ContainsFunc(text, odd) {
		return uri{}, errURI
	}
	path, query, _ := strings.Cut(text, "?")
	if _, err := unpercent(path); err != nil {
		return uri{}, err
	}
	u := uri{key: path}
	var others []string
	for attribute := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(attribute, "=")
		value, err := unpercent(value)
		if err != nil {
			return uri{}, err
		}
		switch name {
		case "module-path":
			u.module = value
		case "pin-value":
			err = once(&u, &u.pin, value)
		case "pin-source":
			err = once(&u, &u.pinFrom, value)
		case "":
		default:
			others = append(others, attribute)
		}
		if err != nil {
			return uri{}, err
		}
	}
	if len(others) > 0 {
		u.key += "?" + strings.Join(others, "&")
	}
	if u.pinFrom != "" {
		if _, _, ok := u.source(); !ok {
			return uri{}, errPINSource
		}
	}
	return u, nil
}

func once(u *uri, field *string, value string) error {
	if u.pin+u.pinFrom != "" || value == "" {
		return errPINs
	}
	*field = value
	return nil
}

// source is where the PIN comes from: "file" and its name, or "env" and the variable's.
func (u *uri) source() (kind, name string, ok bool) {
	kind, name, ok = strings.Cut(u.pinFrom, ":")
	switch {
	case strings.HasPrefix(u.pinFrom, "/"):
		return "file", u.pinFrom, true
	case kind == "file":
		name = strings.TrimPrefix(name, "//") // file:///run/pin
		return kind, name, ok && strings.HasPrefix(name, "/")
	case kind == "env":
		return kind, name, ok && name != ""
	}
	return "", "", false // a program ("|...") would be run by whoever writes the URI
}

// readPIN is the PIN that a key's URI names, now, or that of the token; "" for none. A file's last
// line feed is not part of it.
func (t Token) readPIN(u uri) (string, error) {
	if u.pin != "" {
		return u.pin, nil
	}
	if u.pinFrom == "" {
		return t.PIN, nil
	}
	kind, name, _ := u.source()
	var pin string
	if kind == "env" {
		var there bool
		if pin, there = os.LookupEnv(name); !there {
			return "", fmt.Errorf("openssl: the PIN cannot be read: no variable %s in the environment", name)
		}
	} else {
		file, err := os.Open(name)
		if err != nil {
			return "", fmt.Errorf("openssl: the PIN cannot be read: %w", err)
		}
		defer file.Close()
		text, err := io.ReadAll(io.LimitReader(file, maxPIN+2))
		if err != nil {
			return "", fmt.Errorf("openssl: the PIN cannot be read: %w", err)
		}
		pin = string(bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r")))
	}
	if len(pin) == 0 || len(pin) > maxPIN || strings.ContainsRune(pin, 0) {
		return "", errPINLong
	}
	return pin, nil
}

// withPIN adds pin to a URI without one (RFC 7512 section 2.4).
func withPIN(key, pin string) string {
	if pin == "" {
		return key
	}
	mark := "?"
	if strings.Contains(key, "?") {
		mark = "&"
	}
	return key + mark + "pin-value=" + percent(pin)
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

func unpercent(s string) (string, error) {
	digit := func(c byte) int {
		if c >= 'A' && c <= 'F' {
			c += 'a' - 'A'
		}
		return strings.IndexByte("0123456789abcdef", c)
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			if i+2 >= len(s) {
				return "", errPercent
			}
			high, low := digit(s[i+1]), digit(s[i+2])
			if high < 0 || low < 0 {
				return "", errPercent
			}
			c = byte(high<<4 | low)
			i += 2
		}
		if c == 0 {
			return "", errURI
		}
		b.WriteByte(c)
	}
	return b.String(), nil
}

// maxRefused bounds the PINs that are remembered.
const maxRefused = 256

// RefusedPINs remember PINs that tokens refused, by their hashes, so that no other key tries
// them: tokens lock themselves after a few. The zero value remembers none.
type RefusedPINs struct {
	mu   sync.Mutex
	seen map[[32]byte]bool
}

// pinHash is that of a PIN with what the URI says of the token.
func pinHash(module string, u uri, pin string) [32]byte {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q", module, pin)
	path, _, _ := strings.Cut(strings.TrimPrefix(u.key, "pkcs11:"), "?")
	for attribute := range strings.SplitSeq(path, ";") {
		switch name, _, _ := strings.Cut(attribute, "="); name {
		case "object", "id", "type": // of the key, not of its token
		default:
			fmt.Fprintf(h, " %q", attribute)
		}
	}
	return [32]byte(h.Sum(nil))
}

func (r *RefusedPINs) has(hash [32]byte) bool {
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen[hash]
}

func (r *RefusedPINs) add(hash [32]byte) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil || len(r.seen) >= maxRefused {
		r.seen = map[[32]byte]bool{}
	}
	r.seen[hash] = true
}

// refusedPIN tells a refused PIN from other errors. What OpenSSL gives of an error is its name:
// PKCS#11's begin with CKR_PIN, which the engine calls "PIN incorrect", "PIN locked" and so on.
func refusedPIN(err error) bool { return err != nil && strings.Contains(err.Error(), "PIN ") }
