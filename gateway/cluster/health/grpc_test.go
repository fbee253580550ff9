package health

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	ours "longmen/gateway/protocol/grpc"
)

// grpcServer is a server of grpc-go with its health service; without one, when
// states is nil.
func grpcServer(t *testing.T, states map[string]grpc_health_v1.HealthCheckResponse_ServingStatus) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	if states != nil {
		service := health.NewServer()
		for name, status := range states {
			service.SetServingStatus(name, status)
		}
		grpc_health_v1.RegisterHealthServer(server, service)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

func TestGRPC(t *testing.T) {
	address := grpcServer(t, map[string]grpc_health_v1.HealthCheckResponse_ServingStatus{
		"": grpc_health_v1.HealthCheckResponse_SERVING, "up": grpc_health_v1.HealthCheckResponse_SERVING,
		"down": grpc_health_v1.HealthCheckResponse_NOT_SERVING, "odd": grpc_health_v1.HealthCheckResponse_UNKNOWN,
		"gone": grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN, "new": 77,
	})
	for service, problem := range map[string]string{
		"": "", "up": "", "down": "NOT_SERVING", "odd": "UNKNOWN", "gone": "SERVICE_UNKNOWN", "none": "grpc-status NOT_FOUND", "new": "status 77",
	} {
		t.Run(service, func(t *testing.T) {
			expectProblem(t, check(t, address, &Config{GRPC: &GRPC{Service: service}}), problem, false)
		})
	}
	expectProblem(t, check(t, grpcServer(t, nil), &Config{GRPC: &GRPC{}}), "grpc-status UNIMPLEMENTED", false)
}

// frames writes what a server says.
type frames struct {
	bytes.Buffer
	*http2.Framer
	encoder *hpack.Encoder
	block   bytes.Buffer
}

func newFrames() *frames {
	f := &frames{}
	f.Framer, f.encoder = http2.NewFramer(&f.Buffer, nil), nil
	f.encoder = hpack.NewEncoder(&f.block)
	f.WriteSettings()
	return f
}

func (f *frames) fields(end bool, fields ...string) *frames {
	f.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		f.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.block.Bytes(), EndHeaders: true, EndStream: end})
	return f
}

func (f *frames) data(end bool, p []byte) *frames {
	f.WriteData(1, end, p)
	return f
}

// head and trailers are those of a call that went well.
func (f *frames) head() *frames {
	return f.fields(false, ":status", "200", "content-type", "application/grpc+proto")
}
func (f *frames) trailers() *frames { return f.fields(true, "grpc-status", "0") }

// good is the answer of a server that serves.
func good() *frames {
	return newFrames().head().data(false, ours.AppendFrame(nil, []byte{1 << 3, serving})).trailers()
}

func TestGRPCAnswers(t *testing.T) {
	message := func(p ...byte) []byte { return ours.AppendFrame(nil, p) }
	with := func(write func(f *frames)) *frames { f := newFrames(); write(f); return f }
	for _, c := range []struct {
		name    string
		answer  *frames
		problem string
		network bool
	}{
		{name: "serving", answer: good()},
		{name: "ping, settings, other streams", answer: with(func(f *frames) {
			f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
			f.WritePing(false, [8]byte{1})
			f.WriteWindowUpdate(0, 1000)
			f.WriteGoAway(1, http2.ErrCodeNo, nil)
			f.head().data(false, message(8, 1)).trailers()
		})},
		{name: "interim", answer: with(func(f *frames) {
			f.fields(false, ":status", "103")
			f.head().data(false, message(8, 1)).trailers()
		})},
		{name: "message in pieces", answer: newFrames().head().data(false, message(8, 1)[:3]).data(false, message(8, 1)[3:]).trailers()},
		{name: "other fields", answer: newFrames().head().data(false, message(0x12, 2, 'h', 'i', 8, 1)).trailers()},
		{name: "no field", answer: newFrames().head().data(false, message()).trailers(), problem: "UNKNOWN"},
		{name: "last one counts", answer: newFrames().head().data(false, message(8, 1, 8, 2)).trailers(), problem: "NOT_SERVING"},
		{name: "malformed", answer: newFrames().head().data(false, message(8)).trailers(), problem: "the answer's message is malformed"},
		{name: "malformed field", answer: newFrames().head().data(false, message(0x12, 9, 'h')).trailers(), problem: "the answer's message is malformed"},
		{name: "no message", answer: newFrames().head().trailers(), problem: "the answer is not one message"},
		{name: "two messages", answer: newFrames().head().data(false, append(message(8, 1), message(8, 1)...)).trailers(), problem: "the answer is not one message"},
		{name: "compressed", answer: newFrames().head().data(false, []byte{1, 0, 0, 0, 2, 8, 1}).trailers(), problem: "the answer is compressed, which was not asked for"},
		{name: "trailers-only", answer: newFrames().fields(true, ":status", "200", "content-type", "application/grpc", "grpc-status", "14"), problem: "grpc-status UNAVAILABLE"},
		{name: "trailers with a failure", answer: newFrames().head().data(false, message(8, 1)).fields(true, "grpc-status", "2"), problem: "grpc-status UNKNOWN"},
		{name: "trailers without status", answer: newFrames().head().data(false, message(8, 1)).fields(true, "x-a", "b"), problem: "the answer has no grpc-status"},
		{name: "no trailers", answer: newFrames().head().data(true, message(8, 1)), problem: "the answer has no grpc-status"},
		{name: "503", answer: newFrames().fields(true, ":status", "503"), problem: "the HTTP status is not 200"},
		{name: "another program", answer: newFrames().fields(false, ":status", "200", "content-type", "text/html"), problem: "the answer is not one of gRPC"},
		{name: "gRPC-Web", answer: newFrames().fields(false, ":status", "200", "content-type", "application/grpc-web"), problem: "the answer is not one of gRPC"},
		{name: "reset", answer: with(func(f *frames) { f.WriteRSTStream(1, http2.ErrCodeRefusedStream) }), problem: "the request was reset (REFUSED_STREAM)", network: true},
		{name: "gone away", answer: with(func(f *frames) { f.WriteGoAway(0, http2.ErrCodeNo, []byte("SECRET")) }), problem: "the server closes the connection (NO_ERROR)", network: true},
		{name: "data first", answer: newFrames().data(false, message(8, 1)), problem: "response: data before the head", network: true},
		{name: "large message", answer: newFrames().head().data(false, make([]byte, maxMessage+1)), problem: "the answer is larger than 4096 bytes"},
		{name: "large frame", answer: with(func(f *frames) { f.WriteRawFrame(http2.FrameData, 0, 1, make([]byte, maxFrame+1)) }), problem: "response: not HTTP/2", network: true},
		{name: "large head", answer: newFrames().fields(true, ":status", "200", "x-a", strings.Repeat("a", maxFrame-100), "x-b", strings.Repeat("b", 1000)), problem: "the response head is larger than 16384 bytes"},
		{name: "endless", answer: with(func(f *frames) {
			for range maxHead / 9 {
				f.WriteSettings()
			}
		}), problem: "the response is larger than 65536 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := &answered{Reader: bytes.NewReader(c.answer.Bytes())}
			expectProblem(t, probeGRPC(newClient2(conn), &GRPC{}, "http", "host"), c.problem, c.network)
		})
	}
}

// An answer that is cut anywhere is none.
func TestGRPCAnswerCut(t *testing.T) {
	whole := good().Bytes()
	for i := range whole {
		conn := &answered{Reader: bytes.NewReader(whole[:i])}
		expectProblem(t, probeGRPC(newClient2(conn), &GRPC{}, "http", "host"), "response: closed before it was complete", true)
	}
}

// What is asked reads as a call by HTTP/2.
func TestGRPCRequest(t *testing.T) {
	for _, c := range []struct {
		service, message string
	}{{"", "\x00\x00\x00\x00\x00"}, {"a.B", "\x00\x00\x00\x00\x05\x0a\x03a.B"}} {
		k, config := newClient2(nil), &GRPC{Service: c.service, Metadata: map[string]string{"X-Key": "a\nb"}}
		k.ask(grpcRequest(config, "https", "host:1"), grpcMessage(config))
		raw, found := strings.CutPrefix(k.out.String(), http2.ClientPreface)
		if !found {
			t.Fatalf("%q has no preface", raw)
		}
		framer := http2.NewFramer(nil, strings.NewReader(raw))
		framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		var got strings.Builder
		for {
			frame, err := framer.ReadFrame()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			switch f := frame.(type) {
			case *http2.MetaHeadersFrame:
				for _, field := range f.Fields {
					fmt.Fprintf(&got, "%s=%s ", field.Name, field.Value)
				}
			case *http2.DataFrame:
				fmt.Fprintf(&got, "%q %v", f.Data(), f.StreamEnded())
			}
		}
		want := fmt.Sprintf(":method=POST :scheme=https :authority=host:1 :path=/grpc.health.v1.Health/Check content-type=application/grpc te=trailers user-agent=longmen-health-check x-key=a b %q true", c.message)
		if got.String() != want {
			t.Errorf("got  %s\nwant %s", got.String(), want)
		}
	}
}

// A connection that TLS secures agrees on HTTP/2 first.
func TestGRPCSecure(t *testing.T) {
	address := grpcServer(t, map[string]grpc_health_v1.HealthCheckResponse_ServingStatus{"": grpc_health_v1.HealthCheckResponse_SERVING})
	var offered []string
	target := &Target{
		Config: &Config{GRPC: &GRPC{}}, Hostname: "cart.local", Address: func() string { return address },
		Secure: func(conn net.Conn, hostname string, alpn []string) (net.Conn, error) {
			offered = append(offered, hostname+" "+strings.Join(alpn, ","))
			return conn, nil
		},
	}
	if err := probe(t.Context(), &net.Dialer{}, target); err != nil {
		t.Error(err)
	}
	target.Config = &Config{TCP: &TCP{}}
	if err := probe(t.Context(), &net.Dialer{}, target); err != nil {
		t.Error(err)
	}
	if got := strings.Join(offered, "; "); got != "cart.local h2; cart.local " {
		t.Errorf("offered %q", got)
	}
}

func FuzzGRPCAnswer(f *testing.F) {
	f.Add(good().Bytes())
	f.Add(newFrames().fields(true, ":status", "200", "content-type", "application/grpc", "grpc-status", "14").Bytes())
	f.Fuzz(func(t *testing.T, answer []byte) {
		conn := &answered{Reader: bytes.NewReader(answer)}
		err := probeGRPC(newClient2(conn), &GRPC{Service: "a.B"}, "http", "host")
		if conn.read > maxHead {
			t.Errorf("read %d bytes", conn.read)
		}
		if err != nil && len(err.Error()) > 200 {
			t.Errorf("the reason is %d bytes long", len(err.Error()))
		}
	})
}
