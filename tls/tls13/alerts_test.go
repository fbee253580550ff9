package tls13

import (
	"bytes"
	"testing"

	"longmen/tls/handshake"

	"golang.org/x/crypto/cryptobyte"
)

// edits changes what one side sends and gives what the other came to: a server if the client
// is edited, else a client.
func (p *pair) edits(t testing.TB, server bool, edit func([]byte) [][]byte) (edited, other *outcome) {
	t.Helper()
	near, far := newWire(t)
	if server {
		behind, log := newEditor(far, true, edit)
		p.server.KeyLog = log
		client, server := p.shakeOver(near, behind)
		return server, client
	}
	behind, log := newEditor(near, false, edit)
	p.client.KeyLog = log
	return p.shakeOver(behind, far)
}

// mutual has the client show a certificate, so that all messages there are go by.
func (p *pair) mutual(t testing.TB) *pair {
	p.server.ClientAuth, p.server.ClientCAs = ClientAuthRequire, p.authority.pool
	p.client.Certificate = p.authority.issue(t, "client.test", newKey(t), nil)
	return p
}

// clientHellos gives edits of a ClientHello, by what they make wrong, and the alert for it.
func clientHellos() map[string]helloEdit {
	return map[string]helloEdit{
		"no TLS 1.3":         {func(h *clientHello) { h.versions = []uint16{0x0303} }, handshake.ProtocolVersion},
		"no suite":           {func(h *clientHello) { h.suites = []uint16{0x1301} }, handshake.HandshakeFailure},
		"no group":           {func(h *clientHello) { h.groups = []uint16{29} }, handshake.HandshakeFailure},
		"no scheme":          {func(h *clientHello) { h.schemes = []uint16{0x0403} }, handshake.HandshakeFailure},
		"a short share":      {func(h *clientHello) { h.shares[0].key = h.shares[0].key[:64] }, handshake.IllegalParameter},
		"a compressed share": {func(h *clientHello) { h.shares[0].key = append([]byte{2}, h.shares[0].key[1:33]...) }, handshake.IllegalParameter},
		"a share of nothing": {func(h *clientHello) { h.shares[0].key = []byte{0} }, handshake.IllegalParameter},
		"a share off the curve": {func(h *clientHello) {
			h.shares[0].key = bytes.Clone(h.shares[0].key)
			h.shares[0].key[64] ^= 1
		}, handshake.IllegalParameter},
		"two shares of a group": {func(h *clientHello) { h.shares = append(h.shares, h.shares[0]) }, handshake.IllegalParameter},
		"a ticket without mode": {func(h *clientHello) {
			h.psks = []offeredPSK{{identity: []byte("ticket"), binder: make([]byte, 32)}}
		}, handshake.MissingExtension},
		"a long session id": {func(h *clientHello) { h.sessionID = make([]byte, 33) }, handshake.DecodeError},
		"no suites":         {func(h *clientHello) { h.suites = nil }, handshake.DecodeError},
	}
}

type helloEdit struct {
	change func(*clientHello)
	alert  handshake.Alert
}

func TestClientHelloAlerts(t *testing.T) {
	for name, c := range clientHellos() {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			client, server := p.edits(t, false, only(handshake.ClientHello, func(message []byte) [][]byte {
				h := must(parseClientHello(bytes.Clone(message)))
				c.change(h)
				return [][]byte{must(h.marshal())}
			}))
			wantAlert(t, server.err, c.alert, false)
			wantAlert(t, client.err, c.alert, true)
		})
	}
}

// TestMissingExtensions leaves an extension of the ClientHello out, or sends it twice.
func TestMissingExtensions(t *testing.T) {
	alerts := map[uint16]handshake.Alert{
		extSupportedVersions:   handshake.ProtocolVersion,
		extSupportedGroups:     handshake.MissingExtension,
		extKeyShare:            handshake.MissingExtension,
		extSignatureAlgorithms: handshake.MissingExtension,
	}
	for ext, alert := range alerts {
		_, server := newPair(t).edits(t, false, only(handshake.ClientHello, func(message []byte) [][]byte {
			return [][]byte{editExtension(message, ext, nil)}
		}))
		wantAlert(t, server.err, alert, false)
		_, server = newPair(t).edits(t, false, only(handshake.ClientHello, func(message []byte) [][]byte {
			return [][]byte{editExtension(message, ext, func(b *cryptobyte.Builder, data []byte) {
				for range 2 {
					addExtension(b, ext, func(b *cryptobyte.Builder) { b.AddBytes(data) })
				}
			})}
		}))
		wantAlert(t, server.err, handshake.IllegalParameter, false)
	}
}

// editExtension rewrites one extension of a ClientHello; edit is nil to leave it out.
func editExtension(message []byte, ext uint16, edit func(b *cryptobyte.Builder, data []byte)) []byte {
	s := cryptobyte.String(message[4:])
	var fixed, sessionID, suites, compression, block cryptobyte.String
	if !s.ReadBytes((*[]byte)(&fixed), 34) || !s.ReadUint8LengthPrefixed(&sessionID) || !s.ReadUint16LengthPrefixed(&suites) ||
		!s.ReadUint8LengthPrefixed(&compression) {
		panic("no ClientHello")
	}
	head := message[4 : len(message)-len(s)]
	s.ReadUint16LengthPrefixed(&block)
	var b cryptobyte.Builder
	b.AddBytes(head)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		for !block.Empty() {
			var typ uint16
			var data cryptobyte.String
			block.ReadUint16(&typ)
			block.ReadUint16LengthPrefixed(&data)
			switch {
			case typ != ext:
				addExtension(b, typ, func(b *cryptobyte.Builder) { b.AddBytes(data) })
			case edit != nil:
				edit(b, data)
			}
		}
	})
	return withLength(handshake.ClientHello, b.BytesOrPanic())
}

// TestSecondHelloAlerts changes the hello after a retry.
func TestSecondHelloAlerts(t *testing.T) {
	for name, c := range map[string]helloEdit{
		"no share again":    {func(h *clientHello) { h.shares = nil }, handshake.IllegalParameter},
		"another share too": {func(h *clientHello) { h.shares = append(h.shares, keyShare{29, []byte("a share")}) }, handshake.IllegalParameter},
		"another random":    {func(h *clientHello) { h.random = make([]byte, 32) }, handshake.IllegalParameter},
		"another name":      {func(h *clientHello) { h.serverName = "other.test" }, handshake.IllegalParameter},
		"another protocol":  {func(h *clientHello) { h.protocols = []string{"h2"} }, handshake.IllegalParameter},
		"more suites":       {func(h *clientHello) { h.suites = append(h.suites, 0x1301) }, handshake.IllegalParameter},
		"a cookie":          {func(h *clientHello) { h.cookie = []byte("cookie") }, handshake.IllegalParameter},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			p.client.holdShare = true
			first := true
			_, server := p.edits(t, false, func(message []byte) [][]byte {
				if first || handshake.MessageType(message[0]) != handshake.ClientHello {
					first = false
					return [][]byte{message}
				}
				h := must(parseClientHello(bytes.Clone(message)))
				c.change(h)
				return [][]byte{must(h.marshal())}
			})
			wantAlert(t, server.err, c.alert, false)
		})
	}
}

func TestServerHelloAlerts(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*serverHello)
		alert  handshake.Alert
	}{
		"another version":     {func(h *serverHello) { h.version = 0x0303 }, handshake.IllegalParameter},
		"another suite":       {func(h *serverHello) { h.suite = 0x1301 }, handshake.IllegalParameter},
		"another session id":  {func(h *serverHello) { h.sessionID = []byte("session") }, handshake.IllegalParameter},
		"another group":       {func(h *serverHello) { h.group = 29 }, handshake.IllegalParameter},
		"no share":            {func(h *serverHello) { h.group = 0 }, handshake.MissingExtension},
		"a wrong share":       {func(h *serverHello) { h.share = h.share[:64] }, handshake.IllegalParameter},
		"a session":           {func(h *serverHello) { h.psk = 0 }, handshake.UnsupportedExtension},
		"another random":      {func(h *serverHello) { h.random = make([]byte, 32) }, handshake.BadRecordMAC},
		"a retry for nothing": {func(h *serverHello) { h.retry, h.group, h.share = true, 0, nil }, handshake.IllegalParameter},
		"a retry for a share": {func(h *serverHello) { h.retry, h.share = true, nil }, handshake.IllegalParameter},
		"a retry for a group": {func(h *serverHello) { h.retry, h.group, h.share = true, 29, nil }, handshake.IllegalParameter},
	} {
		t.Run(name, func(t *testing.T) {
			_, client := newPair(t).edits(t, true, only(handshake.ServerHello, func(message []byte) [][]byte {
				h := must(parseServerHello(bytes.Clone(message)))
				c.change(h)
				return [][]byte{must(h.marshal())}
			}))
			wantAlert(t, client.err, c.alert, false)
		})
	}
}

// TestOldServers is what a client says to a ServerHello of TLS 1.2, and to one whose random says
// that somebody made it so.
func TestOldServers(t *testing.T) {
	for _, c := range []struct {
		end   string
		alert handshake.Alert
	}{{"", handshake.ProtocolVersion}, {"DOWNGRD\x01", handshake.IllegalParameter}, {"DOWNGRD\x00", handshake.IllegalParameter}} {
		_, client := newPair(t).edits(t, true, only(handshake.ServerHello, func(message []byte) [][]byte {
			random := make([]byte, 32-len(c.end))
			body := append([]byte{3, 3}, random...)
			body = append(body, c.end...)
			return [][]byte{withLength(handshake.ServerHello, append(body, 0, 0xC0, 0x2F, 0))}
		}))
		wantAlert(t, client.err, c.alert, false)
	}
}

// TestCookie is a server that asks for nothing but its cookie back.
func TestCookie(t *testing.T) {
	near, far := newWire(t)
	heard := make(chan *clientHello, 2)
	go func() {
		defer far.Close()
		conn := handshake.NewConn(far, handshake.VersionTLS13)
		for range 2 {
			message, err := conn.Expect(handshake.ClientHello)
			if err != nil {
				close(heard)
				return
			}
			hello := must(parseClientHello(bytes.Clone(message)))
			heard <- hello
			conn.IgnoreChangeCipherSpec()
			request := &serverHello{retry: true, sessionID: hello.sessionID, suite: SuiteSM4GCMSM3, version: 0x0304, cookie: []byte("a cookie"), psk: -1}
			conn.Write(must(request.marshal()))
			if conn.Flush() != nil {
				return
			}
		}
	}()
	p := newPair(t)
	end := ended(near)(Client(near, p.client))
	wantAlert(t, end.err, handshake.UnexpectedMessage, false) // at the second request
	first, second := <-heard, <-heard
	if first == nil || second == nil || string(second.cookie) != "a cookie" || first.cookie != nil {
		t.Fatalf("%+v, %+v", first, second)
	}
	if err := first.sameBut(second); err != nil {
		t.Error(err)
	}
}

// TestWrongProofs flips a bit of what proves something.
func TestWrongProofs(t *testing.T) {
	flip := func(message []byte) [][]byte {
		message = bytes.Clone(message)
		message[len(message)-1] ^= 1
		return [][]byte{message}
	}
	for _, typ := range []handshake.MessageType{handshake.CertificateVerify, handshake.Finished} {
		for _, server := range []bool{false, true} {
			_, other := newPair(t).mutual(t).edits(t, server, only(typ, flip))
			wantAlert(t, other.err, handshake.DecryptError, false)
		}
	}
	r := newResumption(t)
	r.mustShake(t)
	_, server := r.edits(t, false, only(handshake.ClientHello, flip)) // the last byte of the binder
	wantAlert(t, server.err, handshake.DecryptError, false)
}

// TestOrder drops each message, says it twice, and puts another before it.
func TestOrder(t *testing.T) {
	for _, server := range []bool{false, true} {
		for _, typ := range []handshake.MessageType{
			handshake.ClientHello, handshake.ServerHello, handshake.EncryptedExtensions, handshake.CertificateRequest,
			handshake.Certificate, handshake.CertificateVerify, handshake.Finished,
		} {
			if server == (typ == handshake.ClientHello) || !server && (typ == handshake.ServerHello ||
				typ == handshake.EncryptedExtensions || typ == handshake.CertificateRequest) {
				continue
			}
			stray := withLength(handshake.KeyUpdate, []byte{0})
			_, other := newPair(t).mutual(t).edits(t, server, only(typ, func(message []byte) [][]byte { return [][]byte{stray, message} }))
			wantAlert(t, other.err, handshake.UnexpectedMessage, false)

			if typ == handshake.Finished || typ == handshake.ClientHello || typ == handshake.ServerHello {
				continue // nothing follows that could be told from it
			}
			_, other = newPair(t).mutual(t).edits(t, server, only(typ, func(message []byte) [][]byte { return [][]byte{message, message} }))
			wantAlert(t, other.err, handshake.UnexpectedMessage, false)
			_, other = newPair(t).mutual(t).edits(t, server, only(typ, func([]byte) [][]byte { return nil }))
			want := handshake.UnexpectedMessage
			if typ == handshake.CertificateRequest {
				want = handshake.DecryptError // optional: the transcripts differ
			}
			wantAlert(t, other.err, want, false)
		}
	}
}

// TestNullCompression: TLS 1.3 knows no other method.
func TestNullCompression(t *testing.T) {
	_, server := newPair(t).edits(t, false, only(handshake.ClientHello, func(message []byte) [][]byte {
		message = bytes.Clone(message)
		at := 4 + 2 + 32 + 1 + 32 + 2 + 2 + 1
		message[at] = 1
		return [][]byte{message}
	}))
	wantAlert(t, server.err, handshake.IllegalParameter, false)
}
