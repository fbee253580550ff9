package acme

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
)

const (
	// challengeAge is for how long a challenge in the storage counts: an authority
	// tries within minutes.
	challengeAge = time.Hour
	// maxChallenge bounds the file of one, in bytes.
	maxChallenge = 4 << 10
	// maxToken bounds a token, which has at least 128 bits (RFC 8555 section 8.1).
	maxToken = 256
)

// Challenges are the answers to the challenges that authorities have been asked to
// try: those of this process, and, in the storages, those of others. Its methods
// may be called from any goroutine; Token and Name do not block.
type Challenges struct {
	mu      sync.Mutex // of those who change pending
	pending atomic.Pointer[pending]
	shared  atomic.Pointer[[]folder] // never written to
}

// pending are the challenges of this process; it is never written to.
type pending struct {
	tokens map[string][]byte           // key authorizations for HTTP-01
	names  map[string]*tls.Certificate // for TLS-ALPN-01
}

// folder is where an authority's pending challenges are in a storage.
type folder struct {
	storage *certmagic.FileStorage
	issuer  string
}

// stored is a pending challenge in a storage.
type stored struct {
	Host             string
	KeyAuthorization string
}

func (f folder) key(kind, what string) string {
	return path.Join("acme", certmagic.StorageKeys.Safe(f.issuer), "challenges", kind+"_"+what)
}

// Active reports whether challenges may be pending at all.
func (c *Challenges) Active() bool { return c != nil && c.shared.Load() != nil }

// Token gives what to answer to a request for a token (RFC 8555 section 8.3),
// which this process itself has ordered; nil for none.
func (c *Challenges) Token(token []byte) []byte {
	if p := c.pending.Load(); p != nil {
		return p.tokens[string(token)]
	}
	return nil
}

// StoredToken is Token for what others with the same storage have ordered. It
// reads files.
func (c *Challenges) StoredToken(token string) []byte {
	if !plainToken(token) {
		return nil
	}
	if s := c.find(string(HTTP01), token); s != nil {
		return []byte(s.KeyAuthorization)
	}
	return nil
}

// Name gives the certificate for a server name (RFC 8737), which this process
// itself has ordered; nil for none.
func (c *Challenges) Name(name string) *tls.Certificate {
	if p := c.pending.Load(); p != nil {
		return p.names[name]
	}
	return nil
}

// StoredName is Name for what others with the same storage have ordered. It reads
// files and signs.
func (c *Challenges) StoredName(name string) *tls.Certificate {
	if !plainName(name) {
		return nil
	}
	s := c.find(string(TLSALPN01), name)
	if s == nil {
		return nil
	}
	made, err := acmez.TLSALPN01ChallengeCert(acme.Challenge{
		Identifier: acme.Identifier{Type: "dns", Value: s.Host}, KeyAuthorization: s.KeyAuthorization,
	})
	if err != nil {
		return nil
	}
	return made
}

// plainToken reports whether a token is of base64url, as all are.
func plainToken(token string) bool {
	for _, b := range []byte(token) {
		if (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (b < '0' || b > '9') && b != '-' && b != '_' {
			return false
		}
	}
	return len(token) > 0 && len(token) <= maxToken
}

// find looks for a challenge in the storages.
func (c *Challenges) find(kind, what string) *stored {
	folders := c.shared.Load()
	if folders == nil {
		return nil
	}
	for _, f := range *folders {
		if s := readChallenge(f.storage.Filename(f.key(kind, what))); s != nil {
			return s
		}
	}
	return nil
}

func readChallenge(name string) *stored {
	file, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || time.Since(info.ModTime()) > challengeAge {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(file, maxChallenge))
	s := &stored{}
	if err != nil || json.Unmarshal(text, s) != nil {
		return nil
	}
	return s
}

// share makes folders the ones that challenges are looked for in.
func (c *Challenges) share(folders []folder) {
	if len(folders) == 0 {
		c.shared.Store(nil)
		return
	}
	c.shared.Store(&folders)
}

// change makes other challenges pending.
func (c *Challenges) change(edit func(*pending)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := &pending{tokens: map[string][]byte{}, names: map[string]*tls.Certificate{}}
	if now := c.pending.Load(); now != nil {
		maps.Copy(next.tokens, now.tokens)
		maps.Copy(next.names, now.names)
	}
	edit(next)
	c.pending.Store(next)
}

// sweep removes what earlier processes have left.
func (f folder) sweep() {
	dir := f.storage.Filename(path.Dir(f.key("", "")))
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err == nil && time.Since(info.ModTime()) > challengeAge {
			_ = os.Remove(path.Join(dir, entry.Name())) // another one may have been quicker
		}
	}
}

// missing reports whether an error says that something is not stored.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
