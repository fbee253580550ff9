package std

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
)

// Labels of the lines of a key log (NSS Key Log Format; draft-ietf-tls-keylogfile).
const (
	labelMaster          = "CLIENT_RANDOM"
	labelClientHandshake = "CLIENT_HANDSHAKE_TRAFFIC_SECRET"
	labelServerHandshake = "SERVER_HANDSHAKE_TRAFFIC_SECRET"
	labelClientTraffic   = "CLIENT_TRAFFIC_SECRET_0"
	labelServerTraffic   = "SERVER_TRAFFIC_SECRET_0"
)

// A keyLog is the KeyLogWriter of one handshake: it keeps the secrets that a takeover needs.
type keyLog struct {
	master                           []byte // TLS 1.2; of a session that may be resumed, until there is another
	clientHandshake, serverHandshake []byte // TLS 1.3, to read the alert of a failure
	client, server                   []byte // TLS 1.3 application traffic

	copy io.Writer // may be nil
}

var errKeyLog = errors.New("std: a key log line of unknown form")

// Write takes one line: label, client random, secret.
func (k *keyLog) Write(line []byte) (int, error) {
	label, rest, ok := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
	_, secretHex, ok2 := bytes.Cut(rest, []byte(" "))
	if !ok || !ok2 {
		return 0, errKeyLog
	}
	secret := make([]byte, hex.DecodedLen(len(secretHex)))
	if _, err := hex.Decode(secret, secretHex); err != nil {
		return 0, errKeyLog
	}
	switch string(label) {
	case labelMaster:
		k.master = secret
	case labelClientHandshake:
		k.clientHandshake = secret
	case labelServerHandshake:
		k.serverHandshake = secret
	case labelClientTraffic:
		k.client, k.master = secret, nil // not TLS 1.2 after all
	case labelServerTraffic:
		k.server = secret
	}
	if k.copy != nil {
		return k.copy.Write(line)
	}
	return len(line), nil
}
