package handshake

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"longmen/tls/record"
)

// A script is a net.Conn whose peer has said everything beforehand.
type script struct {
	net.Conn
	in     bytes.Reader
	writes [][]byte
	fail   error // what Write says
}

func (s *script) Read(p []byte) (int, error) { return s.in.Read(p) }

func (s *script) Write(p []byte) (int, error) {
	if s.fail != nil {
		return 0, s.fail
	}
	s.writes = append(s.writes, bytes.Clone(p))
	return len(p), nil
}

func scripted(version uint16, input ...[]byte) (*Conn, *script) {
	s := new(script)
	s.in.Reset(slices.Concat(input...))
	return NewConn(s, version), s
}

func rec(version uint16, typ byte, payload ...byte) []byte {
	return append([]byte{typ, byte(version >> 8), byte(version), byte(len(payload) >> 8), byte(len(payload))}, payload...)
}

func hand(payload ...byte) []byte { return rec(VersionTLCP, recordHandshake, payload...) }

// msg is a message of n body bytes.
func msg(typ MessageType, n int) []byte {
	m := []byte{byte(typ), byte(n >> 16), byte(n >> 8), byte(n)}
	for i := range n {
		m = append(m, byte(i))
	}
	return m
}

// records are a message in records of at most size bytes.
func records(m []byte, size int) (out []byte) {
	for part := range slices.Chunk(m, size) {
		out = append(out, hand(part...)...)
	}
	return out
}

func wantAlert(t *testing.T, err error, want Alert) {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Alert != want || e.Received {
		t.Fatalf("%v, want a fault for %v", err, want)
	}
}

func TestReadReassembles(t *testing.T) {
	m := msg(Certificate, 40_000)
	for _, size := range []int{5, 7, 1000, 16384} {
		c, _ := scripted(VersionTLCP, records(m, size), hand(msg(Finished, 12)...))
		got, err := c.Read()
		if err != nil || !bytes.Equal(got, m) || got.Type() != Certificate || len(got.Body()) != 40_000 {
			t.Fatalf("in records of %d: %d bytes, %v", size, len(got), err)
		}
		if got, err := c.Expect(Finished); err != nil || len(got.Body()) != 12 {
			t.Fatal(got, err)
		}
		if err := c.End(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReadSplitsAtEveryByte(t *testing.T) {
	m := msg(ClientHello, 60)
	for cut := 1; cut < len(m); cut++ {
		c, _ := scripted(VersionTLCP, hand(m[:cut]...), hand(m[cut:]...))
		if got, err := c.Read(); err != nil || !bytes.Equal(got, m) {
			t.Fatalf("cut at %d: %v, %v", cut, got, err)
		}
	}
}

func TestReadCoalesced(t *testing.T) {
	flight := slices.Concat(msg(ServerHello, 70), msg(Certificate, 0), msg(ServerHelloDone, 0), msg(Finished, 3)[:5])
	c, _ := scripted(VersionTLCP, hand(flight...), hand(msg(Finished, 3)[5:]...))
	for _, want := range []MessageType{ServerHello, Certificate, ServerHelloDone, Finished} {
		if m, err := c.Read(); err != nil || m.Type() != want {
			t.Fatal(m, err)
		}
	}
}

func TestReadNeverReadsBeyondItsRecord(t *testing.T) {
	rest := []byte("what comes after the handshake")
	c, s := scripted(VersionTLCP, hand(msg(Finished, 12)...), rest)
	if _, err := c.Read(); err != nil {
		t.Fatal(err)
	}
	if left, _ := io.ReadAll(&s.in); !bytes.Equal(left, rest) {
		t.Fatalf("%q is left", left)
	}
}

func TestReadCutAtEveryByte(t *testing.T) {
	input := slices.Concat(records(msg(ClientHello, 30), 11), hand(msg(Finished, 12)...))
	for cut := range input {
		c, s := scripted(VersionTLCP, input[:cut])
		_, err := c.Read()
		if err == nil {
			_, err = c.Read()
		}
		if err != io.EOF && err != io.ErrUnexpectedEOF {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if c.Fail(err) != err || len(s.writes) > 0 {
			t.Fatalf("cut at %d: an alert for nobody", cut)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		input []byte
		alert Alert
	}{
		"a message too long":      {hand(1, 1, 0, 0), DecodeError},
		"the longest length":      {hand(1, 255, 255, 255), DecodeError},
		"an empty record":         {hand(), UnexpectedMessage},
		"application data":        {rec(VersionTLCP, 23, 1, 2), UnexpectedMessage},
		"change_cipher_spec":      {rec(VersionTLCP, 20, 1), UnexpectedMessage},
		"an unknown content type": {rec(VersionTLCP, 24, 1), UnexpectedMessage},
		"another version":         {rec(VersionTLS12, 22, msg(ClientHello, 1)...), ProtocolVersion},
		"a record too long":       {[]byte{22, 1, 1, 0x40, 0x01}, RecordOverflow},
		"a short alert":           {rec(VersionTLCP, 21, 2), DecodeError},
		"a long alert":            {rec(VersionTLCP, 21, 2, 40, 2, 40), DecodeError},
		"a record amid a message": {append(hand(msg(ClientHello, 10)[:6]...), rec(VersionTLCP, 20, 1)...), UnexpectedMessage},
		"a flood of warnings":     {bytes.Repeat(rec(VersionTLCP, 21, 1, 41), maxIgnored+1), UnexpectedMessage},
		"a byte in each record":   {records(msg(Certificate, maxRecords), 1), UnexpectedMessage},
	} {
		t.Run(name, func(t *testing.T) {
			c, s := scripted(VersionTLCP, test.input)
			_, err := c.Read()
			wantAlert(t, err, test.alert)
			if e := c.Fail(err).(*Error); !e.Sent {
				t.Error("the alert was not sent")
			}
			if len(s.writes) != 1 || !bytes.Equal(s.writes[0], rec(VersionTLCP, 21, 2, byte(test.alert))) {
				t.Errorf("wrote %x", s.writes)
			}
		})
	}
}

func TestReadBoundsMessages(t *testing.T) {
	c, _ := scripted(VersionTLCP, hand(bytes.Repeat(msg(HelloRequest, 0), maxMessages+1)...))
	for range maxMessages {
		if _, err := c.Read(); err != nil {
			t.Fatal(err)
		}
	}
	_, err := c.Read()
	wantAlert(t, err, UnexpectedMessage)
}

func TestReceivedAlerts(t *testing.T) {
	for _, test := range []struct {
		version uint16
		alert   [2]byte
		ends    bool
	}{
		{VersionTLCP, [2]byte{2, 40}, true},
		{VersionTLCP, [2]byte{1, 0}, true}, // close_notify
		{VersionTLCP, [2]byte{1, 41}, false},
		{VersionTLS13, [2]byte{2, 40}, true},
		{VersionTLS13, [2]byte{1, 40}, true}, // its level means nothing
		{VersionTLS13, [2]byte{1, 90}, false},
	} {
		v := test.version
		if v == VersionTLS13 {
			v = VersionTLS12
		}
		c, s := scripted(test.version, rec(v, 21, test.alert[:]...), rec(v, 22, msg(ClientHello, 3)...))
		_, err := c.Read()
		if !test.ends {
			if err != nil {
				t.Errorf("%v: %v", test, err)
			}
			continue
		}
		e, ok := errors.AsType[*Error](err)
		if !ok || !e.Received || e.Alert != Alert(test.alert[1]) {
			t.Errorf("%v: %v", test, err)
		}
		if c.Fail(err) != err || len(s.writes) != 0 {
			t.Errorf("%v: answered", test)
		}
	}
}

func TestChangeCipherSpecOfTLCP(t *testing.T) {
	c, _ := scripted(VersionTLCP, hand(msg(ClientKeyExchange, 2)...), rec(VersionTLCP, 20, 1))
	if _, err := c.Read(); err != nil {
		t.Fatal(err)
	}
	if err := c.ReadChangeCipherSpec(); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		input []byte
		alert Alert
	}{
		"a message behind the last":   {hand(append(msg(ClientKeyExchange, 2), 20)...), UnexpectedMessage},
		"Finished in its place":       {slices.Concat(hand(msg(ClientKeyExchange, 2)...), hand(msg(Finished, 12)...)), UnexpectedMessage},
		"a wrong change_cipher_spec":  {slices.Concat(hand(msg(ClientKeyExchange, 2)...), rec(VersionTLCP, 20, 2)), DecodeError},
		"an empty change_cipher_spec": {slices.Concat(hand(msg(ClientKeyExchange, 2)...), rec(VersionTLCP, 20)), DecodeError},
	} {
		c, _ := scripted(VersionTLCP, test.input)
		if _, err := c.Read(); err != nil {
			t.Fatal(name, err)
		}
		t.Run(name, func(t *testing.T) { wantAlert(t, c.ReadChangeCipherSpec(), test.alert) })
	}
}

func TestChangeCipherSpecOfTLS13(t *testing.T) {
	ccs, hello := rec(VersionTLS12, 20, 1), rec(VersionTLS12, 22, msg(ClientHello, 3)...)
	c, _ := scripted(VersionTLS13, ccs, hello)
	_, err := c.Read()
	wantAlert(t, err, UnexpectedMessage) // before the ClientHello

	c, _ = scripted(VersionTLS13, ccs, hello)
	c.IgnoreChangeCipherSpec()
	if _, err := c.Read(); err != nil {
		t.Fatal(err)
	}
	hello[4] = 3 // the rest comes in another record
	c, _ = scripted(VersionTLS13, hello[:5+3], ccs)
	c.IgnoreChangeCipherSpec()
	_, err = c.Read()
	wantAlert(t, err, UnexpectedMessage) // amid a message

	c, _ = scripted(VersionTLS13, bytes.Repeat(ccs, maxIgnored+1))
	c.IgnoreChangeCipherSpec()
	_, err = c.Read()
	wantAlert(t, err, UnexpectedMessage)
}

// halves are the two ends of one direction of TLS 1.3.
func halves(t *testing.T) (out, in *record.Half) {
	t.Helper()
	secret := bytes.Repeat([]byte{7}, 32)
	out, err := record.NewTLS13(0x1301, secret)
	if err == nil {
		in, err = record.NewTLS13(0x1301, secret)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out, in
}

func TestProtectedMessages(t *testing.T) {
	out, in := halves(t)
	w, ws := scripted(VersionTLS13)
	w.Write(msg(ServerHello, 5))
	w.WriteChangeCipherSpec()
	w.SetWrite(out)
	w.Write(msg(Certificate, 40_000))
	w.Write(msg(Finished, 32))
	if err := w.Flush(); err != nil || len(ws.writes) != 1 {
		t.Fatal("a flight is one Write:", len(ws.writes), err)
	}

	c, s := scripted(VersionTLS13, ws.writes[0])
	c.IgnoreChangeCipherSpec()
	if m, err := c.Read(); err != nil || m.Type() != ServerHello {
		t.Fatal(m, err)
	}
	if err := c.SetRead(in); err != nil {
		t.Fatal(err)
	}
	if m, err := c.Expect(Certificate); err != nil || !bytes.Equal(m, msg(Certificate, 40_000)) {
		t.Fatal(len(m), err)
	}
	if m, err := c.Expect(Finished); err != nil || len(m.Body()) != 32 {
		t.Fatal(m, err)
	}
	if s.in.Len() != 0 || c.End() != nil {
		t.Error("something is left")
	}
}

func TestProtectionRefuses(t *testing.T) {
	out, _ := halves(t)
	sealed := out.Seal(nil, 22, msg(Finished, 32))
	forged := bytes.Clone(sealed)
	forged[20] ^= 1
	for name, test := range map[string]struct {
		input []byte
		alert Alert
	}{
		"a forged record":      {forged, BadRecordMAC},
		"plaintext":            {rec(VersionTLS12, 22, msg(Finished, 32)...), UnexpectedMessage},
		"too long for TLS 1.3": {[]byte{23, 3, 3, 0x41, 0x01}, RecordOverflow},
	} {
		t.Run(name, func(t *testing.T) {
			_, in := halves(t)
			c, _ := scripted(VersionTLS13, test.input)
			if err := c.SetRead(in); err != nil {
				t.Fatal(err)
			}
			_, err := c.Read()
			wantAlert(t, err, test.alert)
		})
	}
	// A client that failed before it had keys says so in plaintext.
	_, in := halves(t)
	c, _ := scripted(VersionTLS13, rec(VersionTLS12, 21, 2, 50))
	_ = c.SetRead(in)
	_, err := c.Read()
	if e, ok := errors.AsType[*Error](err); !ok || !e.Received || e.Alert != DecodeError {
		t.Error(err)
	}
	// But nobody else can end a handshake so that has begun to be protected.
	_, in = halves(t)
	c, _ = scripted(VersionTLS13, sealed, rec(VersionTLS12, 21, 2, 50))
	_ = c.SetRead(in)
	if _, err := c.Read(); err != nil {
		t.Fatal(err)
	}
	_, err = c.Read()
	wantAlert(t, err, UnexpectedMessage)
}

func TestKeysChangeBetweenRecords(t *testing.T) {
	_, in := halves(t)
	c, _ := scripted(VersionTLS13, rec(VersionTLS12, 22, append(msg(ServerHello, 5), 8)...))
	if _, err := c.Read(); err != nil {
		t.Fatal(err)
	}
	wantAlert(t, c.SetRead(in), UnexpectedMessage)
	wantAlert(t, c.End(), UnexpectedMessage)
}

func TestWriteSplitsLongMessages(t *testing.T) {
	m := msg(Certificate, 40_000)
	c, s := scripted(VersionTLCP)
	c.Write(m)
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(s.writes[0], records(m, 16384)) {
		t.Error("not in records of 16384 bytes")
	}
	if err := c.Flush(); err != nil || len(s.writes) != 1 {
		t.Error("an empty flight was written")
	}
}

func TestFail(t *testing.T) {
	c, s := scripted(VersionTLCP)
	c.Write(msg(ServerHello, 1))
	err := c.Fail(errors.New("no signature"))
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Alert != InternalError || !e.Sent || e.Cause.Error() != "no signature" {
		t.Fatalf("%+v", err)
	}
	want := append(hand(msg(ServerHello, 1)...), rec(VersionTLCP, 21, 2, 80)...)
	if len(s.writes) != 1 || !bytes.Equal(s.writes[0], want) {
		t.Errorf("%x, want %x", s.writes, want)
	}
	if again := c.Fail(err); again != err || len(s.writes) != 1 {
		t.Error("a second alert")
	}

	c, s = scripted(VersionTLCP)
	s.fail = io.ErrClosedPipe
	if e := c.Fail(Errorf(BadCertificate, "expired")).(*Error); e.Sent || e.Alert != BadCertificate {
		t.Errorf("%+v", e)
	}

	c, s = scripted(VersionTLS13)
	_ = c.Fail(Errorf(UserCanceled, "never mind"))
	if !bytes.Equal(s.writes[0], rec(VersionTLS12, 21, 1, 90)) {
		t.Errorf("%x", s.writes)
	}
}

func TestFlushFails(t *testing.T) {
	c, s := scripted(VersionTLCP)
	s.fail = io.ErrClosedPipe
	c.Write(msg(ServerHello, 1))
	if err := c.Flush(); err != io.ErrClosedPipe || c.Fail(err) != err {
		t.Error(err)
	}
}

func TestErrorTexts(t *testing.T) {
	for err, want := range map[*Error]string{
		{Alert: UnknownCA, Received: true}:                   "the peer sent the alert unknown_ca",
		{Alert: 250, Received: true}:                         "the peer sent the alert alert(250)",
		{Alert: NoApplicationProtocol}:                       "no_application_protocol",
		{Alert: DecodeError, Cause: errors.New("malformed")}: "decode_error: malformed",
	} {
		if err.Error() != want {
			t.Errorf("%q, want %q", err, want)
		}
	}
	long := Errorf(BadCertificate, "not valid for %s", strings.Repeat("龙", 1000)).Error()
	if len(long) > 450 || !utf8.ValidString(long) || !strings.HasSuffix(long, "...") {
		t.Errorf("%d bytes: %q", len(long), long)
	}
	cause := errors.New("cause")
	if err := Errorf(AccessDenied, "x: %w", cause); !errors.Is(err, cause) || AlertOf(err) != AccessDenied || AlertOf(cause) != InternalError {
		t.Error(err)
	}
	names := map[string]bool{}
	for a := range 256 {
		name := Alert(a).String()
		if names[name] || strings.Contains(name, " ") {
			t.Errorf("alert %d is called %q", a, name)
		}
		names[name] = true
	}
}
