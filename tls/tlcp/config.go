package tlcp

import (
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/emmansun/gmsm/sm3"
	"github.com/emmansun/gmsm/smx509"

	"longmen/tls/handshake"
	"longmen/tls/record"
)

// ClientAuth says whether a client must show certificates. Those that it shows are always
// verified.
type ClientAuth uint8

// The modes. Without ClientAuthNone the suites of ECDHE, which cannot do without a client's
// certificates, take any: the client stays as unknown as in the other suites.
const (
	ClientAuthNone    ClientAuth = iota // not asked for
	ClientAuthOffered                   // asked for; a client without them is served too
	ClientAuthRequire                   // asked for; without them the handshake fails
)

// ServerConfig is how a server speaks TLCP. Many handshakes may use one at once; none
// changes it.
type ServerConfig struct {
	Certificate *Certificate // both leaves and both keys
	Suites      []uint16     // in order of preference; nil: Suites
	Protocols   []string     // ALPN, in order of preference; nil: the client's offer is passed over

	ClientAuth ClientAuth
	ClientCAs  *smx509.CertPool // what client certificates are verified up to
	// VerifyPeer, if not nil, has the last word on a client's certificates after they were
	// verified, in full handshakes and in resumed ones.
	VerifyPeer func(chain []*smx509.Certificate) error

	Sessions SessionCache // nil: none is resumed
	// Context sets apart sessions that must not go from one use of a cache to another: it
	// stands for the domain and for what its clients are verified by.
	Context string

	Rand   io.Reader        // nil: the system's
	Time   func() time.Time // nil: time.Now
	KeyLog io.Writer        // gets each master secret (NSS key log format); nil: nobody does
}

// ClientConfig is how a client speaks TLCP. Many handshakes may use one at once; none
// changes it.
type ClientConfig struct {
	// ServerName is sent, unless it is an IP address, and verified in the server's
	// certificates unless VerifyName is.
	ServerName string
	VerifyName string
	Roots      *smx509.CertPool
	// Insecure verifies neither chain nor name; the server's signatures are checked still.
	Insecure bool
	// VerifyPeer, if not nil, has the last word on the server's certificates after they were
	// verified, in full handshakes and in resumed ones.
	VerifyPeer func(chain []*smx509.Certificate) error

	Certificate *Certificate // the client's own; nil: none
	Suites      []uint16     // in order of preference; nil: Suites
	Protocols   []string     // ALPN, in order of preference

	Sessions   SessionCache // nil: none is resumed
	SessionKey string       // the server in Sessions; "": ServerName

	Rand   io.Reader
	Time   func() time.Time
	KeyLog io.Writer
}

// Errors of a configuration: nothing that a peer did.
var (
	errNoCertificate = errors.New("a TLCP server needs a signing and an encryption certificate and their keys")
	errNoName        = errors.New("a TLCP client needs the server's name, or to be told to verify nothing")
	errNoSuite       = errors.New("no TLCP cipher suite is left to use")
)

func now(f func() time.Time) time.Time {
	if f == nil {
		return time.Now()
	}
	return f()
}

// usable are the suites of list, Suites if it is nil, that the certificate can serve.
func usable(list []uint16, c *Certificate) []uint16 {
	if list == nil {
		list = Suites()
	}
	agreement := c.agreementKey() != nil
	suites := make([]uint16, 0, len(list))
	for _, suite := range list {
		if record.Supported(version, suite) && (agreement || !agrees(suite)) {
			suites = append(suites, suite)
		}
	}
	return suites
}

// A flow is what the two sides of a handshake have in common.
type flow struct {
	conn       *handshake.Conn
	transcript hash.Hash

	suite                      uint16
	clientRandom, serverRandom []byte
	master                     []byte
}

func newFlow(conn *handshake.Conn) flow { return flow{conn: conn, transcript: sm3.New()} }

// read takes a message of the given type into the transcript and gives its body.
func (f *flow) read(want handshake.MessageType) ([]byte, error) {
	m, err := f.conn.Expect(want)
	if err != nil {
		return nil, err
	}
	f.transcript.Write(m)
	return m.Body(), nil
}

// write takes a message that was marshalled into the transcript and the flight.
func (f *flow) write(m []byte, err error) error {
	if err != nil {
		return err
	}
	f.transcript.Write(m)
	f.conn.Write(m)
	return nil
}

// halves are the record protection of the client's and of the server's direction.
func (f *flow) halves() (client, server *record.Half, err error) {
	keys := deriveKeys(f.suite, f.master, f.clientRandom, f.serverRandom)
	if client, err = record.NewTLCP(f.suite, keys.clientMAC, keys.clientKey, keys.clientIV); err != nil {
		return nil, nil, err
	}
	server, err = record.NewTLCP(f.suite, keys.serverMAC, keys.serverKey, keys.serverIV)
	return client, server, err
}

// writeFinished changes to out and proves that this side saw the same handshake.
func (f *flow) writeFinished(label string, out *record.Half) error {
	f.conn.WriteChangeCipherSpec()
	f.conn.SetWrite(out)
	data := finished(f.master, label, f.transcript)
	m := append([]byte{byte(handshake.Finished), 0, 0, byte(len(data))}, data...)
	return f.write(m, nil)
}

// readFinished changes to in and checks that the peer saw the same handshake.
func (f *flow) readFinished(label string, in *record.Half) error {
	if err := f.conn.ReadChangeCipherSpec(); err != nil {
		return err
	}
	if err := f.conn.SetRead(in); err != nil {
		return err
	}
	want := finished(f.master, label, f.transcript)
	body, err := f.read(handshake.Finished)
	if err != nil {
		return err
	}
	if len(body) != finishedLen {
		return decodeError("Finished")
	}
	if !equal(body, want) {
		return handshake.Errorf(handshake.DecryptError, "the peer's Finished does not match the handshake")
	}
	return f.conn.End()
}

// logKeys writes the master secret down for those who asked for it.
func (f *flow) logKeys(w io.Writer) error {
	if w == nil {
		return nil
	}
	_, err := fmt.Fprintf(w, "CLIENT_RANDOM %x %x\n", f.clientRandom, f.master)
	return err
}

// finalWord asks the user of this package about the peer's verified chain.
func finalWord(ask func([]*smx509.Certificate) error, p *peer) error {
	if ask == nil || p == nil || !p.verified {
		return nil
	}
	err := ask(p.chain)
	if _, ok := errors.AsType[*handshake.Error](err); err != nil && !ok {
		err = &handshake.Error{Alert: handshake.BadCertificate, Cause: err}
	}
	return err
}
