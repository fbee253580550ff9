package tlcp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"longmen/tls/handshake"
	"longmen/tls/record"
)

// deadline ends a test that would hang.
const deadline = 30 * time.Second

// tcpPair are both ends of a TCP connection.
func tcpPair(t testing.TB) (client, server net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer listener.Close()
	client, err = net.Dial("tcp", listener.Addr().String())
	check(t, err)
	server, err = listener.Accept()
	check(t, err)
	for _, c := range []net.Conn{client, server} {
		check(t, c.SetDeadline(time.Now().Add(deadline)))
		t.Cleanup(func() { c.Close() })
	}
	return client, server
}

// outcome is what both sides of a handshake ended in.
type outcome struct {
	client, server       *handshake.Result
	clientErr, serverErr error
	clientEnd, serverEnd net.Conn
}

// shake runs our client against our server.
func shake(t testing.TB, server *ServerConfig, client *ClientConfig) outcome {
	t.Helper()
	var o outcome
	o.clientEnd, o.serverEnd = tcpPair(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.server, o.serverErr = Server(o.serverEnd, server)
		if o.serverErr != nil {
			o.serverEnd.Close()
		}
	}()
	o.client, o.clientErr = Client(o.clientEnd, client)
	if o.clientErr != nil {
		o.clientEnd.Close()
	}
	<-done
	return o
}

// succeed is shake for a handshake that must complete, and sends data both ways.
func succeed(t testing.TB, server *ServerConfig, client *ClientConfig) outcome {
	t.Helper()
	o := shake(t, server, client)
	if o.clientErr != nil || o.serverErr != nil {
		t.Fatalf("client: %v; server: %v", o.clientErr, o.serverErr)
	}
	transfer(t, o.clientEnd, o.client.Session, o.serverEnd, o.server.Session, "of the client")
	transfer(t, o.serverEnd, o.server.Session, o.clientEnd, o.client.Session, "of the server")
	return o
}

// transfer sends data protected over a connection.
func transfer(t testing.TB, from net.Conn, out *record.Session, to net.Conn, in *record.Session, data string) {
	t.Helper()
	_, err := from.Write(out.Seal(nil, []byte(data)))
	check(t, err)
	if got := receive(t, to, in, len(data)); got != data {
		t.Fatalf("%q arrived as %q", data, got)
	}
}

// receive reads n bytes of protected data.
func receive(t testing.TB, conn net.Conn, session *record.Session, n int) string {
	t.Helper()
	var input, plain []byte
	for len(plain) < n {
		buffer := make([]byte, 4096)
		got, err := conn.Read(buffer)
		check(t, err)
		input = append(input, buffer[:got]...)
		p, used, err := session.Open(input)
		check(t, err)
		plain, input = append(plain, p...), input[used:]
	}
	return string(plain)
}

// alertOf is the alert in err, which must be an *handshake.Error.
func alertOf(t testing.TB, err error) handshake.Alert {
	t.Helper()
	e, ok := errors.AsType[*handshake.Error](err)
	if !ok {
		t.Fatalf("%v is no *handshake.Error", err)
	}
	return e.Alert
}

// fails expects one side to send the alert and the other to receive it.
func fails(t testing.TB, o outcome, by string, want handshake.Alert) {
	t.Helper()
	sender, receiver := o.serverErr, o.clientErr
	if by == "client" {
		sender, receiver = receiver, sender
	}
	e, ok := errors.AsType[*handshake.Error](sender)
	if !ok || e.Received || !e.Sent || e.Alert != want {
		t.Fatalf("%s ended with %v, want it to send %v", by, sender, want)
	}
	if e, ok := errors.AsType[*handshake.Error](receiver); !ok || !e.Received || e.Alert != want {
		t.Fatalf("the peer of %s ended with %v, want it to receive %v", by, receiver, want)
	}
}

func TestSuites(t *testing.T) {
	for _, suite := range Suites() {
		for _, mutual := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s mutual=%v", SuiteName(suite), mutual), func(t *testing.T) {
				server, client := configs(t)
				client.Suites = []uint16{suite}
				if mutual {
					server.ClientAuth = ClientAuthRequire
				}
				if mutual || agrees(suite) {
					client.Certificate = pki(t).client
				}
				o := succeed(t, server, client)
				for side, r := range map[string]*handshake.Result{"client": o.client, "server": o.server} {
					if r.Suite != suite || r.Version != 0x0101 || r.Resumed || r.ServerName != "server.test" || r.Protocol != "" {
						t.Errorf("%s: %+v", side, r)
					}
					if (r.Group == curveSM2) != agrees(suite) {
						t.Errorf("%s: group %d", side, r.Group)
					}
				}
				if !o.client.PeerVerified || !sameChain(o.client.PeerChain, pki(t).server.Chain) {
					t.Error("the client's view of the server's certificates is wrong")
				}
				if o.server.PeerVerified != mutual || sameChain(o.server.PeerChain, pki(t).client.Chain) != mutual {
					t.Error("the server's view of the client's certificates is wrong")
				}
			})
		}
	}
}

func sameChain(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

func TestBytesAfterTheHandshakeStayUnread(t *testing.T) {
	server, client := configs(t)
	clientEnd, serverEnd := tcpPair(t)
	go func() {
		r, err := Server(serverEnd, server)
		if err == nil {
			serverEnd.Write(r.Session.Seal(nil, []byte("a greeting")))
		}
	}()
	r, err := Client(clientEnd, client)
	check(t, err)
	if got := receive(t, clientEnd, r.Session, 10); got != "a greeting" {
		t.Fatal(got)
	}
}

func TestPeerThatEnds(t *testing.T) {
	server, client := configs(t)
	clientEnd, serverEnd := tcpPair(t)
	clientEnd.Close()
	if _, err := Server(serverEnd, server); err != io.EOF {
		t.Error(err)
	}
	clientEnd, serverEnd = tcpPair(t)
	serverEnd.Close()
	if _, err := Client(clientEnd, client); err == nil {
		t.Error("a handshake with nobody")
	}
}

// socketPair is a pair of connected sockets, which costs less than TCP.
func socketPair(t testing.TB) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "")
		conn, err := net.FileConn(file)
		file.Close()
		check(t, err)
		ends[i] = conn.(*net.UnixConn)
		check(t, conn.SetDeadline(time.Now().Add(deadline)))
	}
	return ends[0], ends[1]
}
