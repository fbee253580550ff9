//go:build !race

package supervisor

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"runtime"
	"testing"

	"longmen/gateway/cluster"
	"longmen/gateway/stream"
	tlsclient "longmen/tls/client"
	"longmen/tls/verify"
)

// As TestRequestsAllocateNothing, with TLS to both sides, a client's certificate
// told to the endpoint, and a log that tells all that there is of TLS. The test's
// own client and origin are crypto/tls, which allocates once for each record that
// it reads: two of these a request.
func TestTLSRequestsAllocateNothing(t *testing.T) {
	h := newHouse(t, Options{Workers: 1})
	originKey := p256Key(t)
	own, root := issued(t, originKey, "origin.test")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan bool)
	go func() {
		defer close(served)
		plain, err := ln.Accept()
		if err != nil {
			return
		}
		defer plain.Close()
		c := tls.Server(plain, &tls.Config{Certificates: []tls.Certificate{{Certificate: own.Chain, PrivateKey: originKey}}})
		buf, got := make([]byte, 16<<10), 0
		reply := []byte("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
		for {
			n, err := c.Read(buf[got:])
			if err != nil {
				return
			}
			if got += n; bytes.HasSuffix(buf[:got], []byte("\r\n\r\n")) {
				if !bytes.Contains(buf[:got], []byte("x-forwarded-client-cert: a,Hash=")) {
					return
				}
				got = 0
				if _, err := c.Write(reply); err != nil {
					return
				}
			}
		}
	}()
	t.Cleanup(func() { <-served })
	t.Cleanup(func() { ln.Close() })
	l := forwards(t, "a", "c")
	config := secured(t, l, map[string]crypto.Signer{"a.test": p256Key(t)})
	clientKey := p256Key(t)
	der, clientRoot := selfSigned(t, clientKey, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, "client.test")
	asksClients(t, l, rootsOf(t, clientRoot))
	config.ServerName, config.Certificates = "a.test", []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: clientKey}}
	l.HTTP.ClientCert, l.HTTP.ClientCertDetails = verify.AppendForward, verify.Details{Subject: true, Cert: true}
	l.Fingerprints = true
	read := logsTo(t, l)
	if l.HTTP.AccessLog[0].Format, err = stream.ParseFormat("%DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_TLS_CIPHER% %REQUESTED_SERVER_NAME% %DOWNSTREAM_PEER_SERIAL% " +
		"%DOWNSTREAM_PEER_SUBJECT% %DOWNSTREAM_PEER_FINGERPRINT_256% %DOWNSTREAM_PEER_CERT_V_END% %DOWNSTREAM_PEER_CERT% %DOWNSTREAM_LOCAL_SUBJECT% " +
		"%TLS_JA3_FINGERPRINT% %TLS_JA4_FINGERPRINT% %UPSTREAM_TLS_VERSION% %UPSTREAM_PEER_SUBJECT% %UPSTREAM_PEER_DNS_SAN% done"); err != nil {
		t.Fatal(err)
	}
	c := clusterOf("c", ln.Addr())
	c.TLS = trusts(t, &tlsclient.Config{Name: tlsclient.NameFixed, ServerName: "origin.test"}, rootsOf(t, root))
	h.applied(having(snap("1", l), cluster.New(c)))

	conn, err := tls.Dial("tcp", h.address("a"), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	k := dialled(t, conn)
	request := []byte("GET / HTTP/1.1\r\nHost: test\r\nX-Forwarded-Client-Cert: a\r\n\r\n")
	response := make([]byte, 4096)
	k.Write(request)
	first, err := k.Read(response)
	if err != nil {
		t.Fatal(err)
	}
	ask := func() {
		if _, err := k.Write(request); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(k.Conn, response[:first]); err != nil || !bytes.HasSuffix(response[:first], []byte("hello")) {
			t.Fatalf("%q %v", response[:first], err)
		}
	}
	for range 2000 {
		ask()
	}
	const n = 5000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range n {
		ask()
	}
	runtime.ReadMemStats(&after)
	each := float64(after.Mallocs-before.Mallocs)/n - 2
	t.Logf("%.4f allocations a request", each)
	if each >= 0.05 {
		t.Errorf("%.3f allocations a request", each)
	}
	h.stopped()
	if got := bytes.Count([]byte(read()), []byte(" TLSv1.3 CN=origin.test origin.test done\n")); got != 1+2000+n {
		t.Errorf("%d lines are logged", got)
	}
}
