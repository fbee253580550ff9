package grpc

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"longmen/conformance/harness"
)

const (
	// connectToolsEnv names the folder of Connect's conformance tools; without
	// it, it is where make conformance builds them.
	connectToolsEnv = "CONNECT_CONFORMANCE"
	// behindEnv makes this test's binary the server under test: the reference
	// server, which it names, with a gateway before it.
	behindEnv = "CONNECT_BEHIND"
)

func TestMain(m *testing.M) {
	if server := os.Getenv(behindEnv); server != "" {
		if err := serveBehind(server); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(harness.Main(m))
}

const connectConfig = `features:
  versions: [HTTP_VERSION_1, HTTP_VERSION_2]
  protocols: [PROTOCOL_CONNECT, PROTOCOL_GRPC, PROTOCOL_GRPC_WEB]
  codecs: [CODEC_PROTO, CODEC_JSON]
  compressions: [COMPRESSION_IDENTITY, COMPRESSION_GZIP]
  supportsTls: true
`

// TestConnect runs Connect's conformance suite, which is gRPC's and gRPC-Web's
// too, with its own client and server and the gateway between them.
func TestConnect(t *testing.T) {
	if !harness.Full() {
		t.Skip("the full suite runs it")
	}
	tools := os.Getenv(connectToolsEnv)
	if tools == "" {
		tools = "../../.tools/bin"
	}
	tools, err := filepath.Abs(tools)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, []byte(connectConfig), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(tools, "connectconformance"), "--mode", "server", "--conf", config, "--", os.Args[0])
	cmd.Env = append(os.Environ(), behindEnv+"="+filepath.Join(tools, "referenceserver"))
	timer := time.AfterFunc(10*time.Minute, func() { cmd.Process.Kill() })
	defer timer.Stop()
	out, err := cmd.CombinedOutput()
	total := regexp.MustCompile(`Total cases: (\d+)\n(\d+) passed, (\d+) failed`).FindSubmatch(out)
	if total == nil {
		t.Fatalf("connectconformance: %v (make conformance builds it, $%s names another folder)\n%s", err, connectToolsEnv, tail(out))
	}
	t.Logf("Connect conformance: longmen: %s of %s", total[2], total[1])
	if err != nil || string(total[3]) != "0" {
		t.Errorf("%v\n%s", err, tail(out))
	}
}

func tail(b []byte) []byte { return b[max(0, len(b)-8<<10):] }

// serveBehind is told what is to be served, starts the reference server and a
// gateway before it, says where that is, and serves until it is told to stop.
func serveBehind(server string) error {
	order, err := readMessage(os.Stdin)
	if err != nil {
		return err
	}
	// The numbers of fields in ServerCompatRequest and what it has.
	const httpVersion, version2, useTLS, creds, certificate, key = 2, 2, 4, 7, 1, 2
	clusters := ""
	if varint(order, httpVersion) == version2 {
		clusters = ", protocol: h2"
	}
	dir, err := os.MkdirTemp("", "longmen-connect-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	listener, secrets, pem := "", "", ""
	if varint(order, useTLS) == 1 { // up to the gateway alone
		pair := []byte(text(order, creds, ""))
		pem = text(pair, certificate, "")
		file := filepath.Join(dir, "site.pem")
		if err := os.WriteFile(file, []byte(pem+"\n"+text(pair, key, "")), 0o600); err != nil {
			return err
		}
		listener, secrets = ", tls: {certs: [site]}", fmt.Sprintf("secrets:\n  site: {cert: %q, key: %q}\n", file, file)
		order = protowire.AppendVarint(protowire.AppendTag(order, useTLS, protowire.VarintType), 0) // the last one counts
	}
	origin := exec.Command(server)
	origin.Stderr = os.Stderr
	origin.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	in, err := origin.StdinPipe()
	if err != nil {
		return err
	}
	out, err := origin.StdoutPipe()
	if err != nil {
		return err
	}
	if err := origin.Start(); err != nil {
		return err
	}
	defer stop(origin)
	if err := writeMessage(in, order); err != nil {
		return err
	}
	answer, err := readMessage(out)
	if err != nil {
		return fmt.Errorf("the reference server: %w", err)
	}
	const host, port, pemCert = 1, 2, 3 // of ServerCompatResponse
	to := net.JoinHostPort(text(answer, host, "127.0.0.1"), strconv.FormatUint(varint(answer, port), 10))

	addr, err := harness.RefusedAddr()
	if err != nil {
		return err
	}
	admin, err := harness.RefusedAddr()
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "gateway.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, `workers: 1
admin: {bind: %q}
access_log: off
listeners:
  http: {bind: %q, routes: main%s}
routes:
  main: [{hosts: ["*"], rules: [{to: origin}]}]
clusters:
  origin: {endpoints: [%q]%s}
%s`, admin, addr, listener, to, clusters, secrets), 0o644); err != nil {
		return err
	}
	gateway := exec.Command(os.Getenv("LONGMEN_BIN"), "run", "-c", file)
	gateway.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	log := &strings.Builder{}
	gateway.Stderr = log
	if err := gateway.Start(); err != nil {
		return err
	}
	defer stop(gateway)
	for deadline := time.Now().Add(harness.Patience); ; {
		if res, err := http.Get("http://" + admin + "/ready"); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				break
			}
		}
		if time.Now().After(deadline) {
			stop(gateway)
			return fmt.Errorf("the gateway does not serve\n%s", log)
		}
		time.Sleep(5 * time.Millisecond)
	}
	at, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return err
	}
	said := protowire.AppendString(protowire.AppendTag(nil, host, protowire.BytesType), at.IP.String())
	said = protowire.AppendVarint(protowire.AppendTag(said, port, protowire.VarintType), uint64(at.Port))
	said = protowire.AppendString(protowire.AppendTag(said, pemCert, protowire.BytesType), pem)
	if err := writeMessage(os.Stdout, said); err != nil {
		return err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	<-signals
	return nil
}

// stop ends a process that we started.
func stop(cmd *exec.Cmd) {
	cmd.Process.Kill()
	cmd.Wait()
}

// readMessage reads a message with its length before it.
func readMessage(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > 1<<20 {
		return nil, fmt.Errorf("a message of %d bytes", n)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}

func writeMessage(w io.Writer, m []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(m))), m...))
	return err
}

// field calls with each value of a field of a protobuf message.
func field(m []byte, number protowire.Number, with func(kind protowire.Type, value []byte)) {
	for len(m) > 0 {
		n, kind, size := protowire.ConsumeTag(m)
		if size < 0 {
			return
		}
		m = m[size:]
		if size = protowire.ConsumeFieldValue(n, kind, m); size < 0 {
			return
		}
		if n == number {
			with(kind, m[:size])
		}
		m = m[size:]
	}
}

func varint(m []byte, number protowire.Number) (v uint64) {
	field(m, number, func(kind protowire.Type, value []byte) {
		if kind == protowire.VarintType {
			v, _ = protowire.ConsumeVarint(value)
		}
	})
	return v
}

func text(m []byte, number protowire.Number, without string) string {
	field(m, number, func(kind protowire.Type, value []byte) {
		if b, n := protowire.ConsumeBytes(value); kind == protowire.BytesType && n > 0 && len(b) > 0 {
			without = string(b)
		}
	})
	return without
}
