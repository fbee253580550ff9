package supervisor

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	testing_grpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"longmen/gateway/snapshot"
	"longmen/gateway/source/yaml"
)

// testService is a server's end of the calls.
type testService struct {
	testing_grpc.UnimplementedTestServiceServer
	calls  atomic.Int32
	refuse atomic.Int32       // so many unary calls are refused first
	left   chan time.Duration // of the deadline of a call that waits; 0 when it has none
	ended  chan error         // why it ended; it answers when this was taken
}

func (s *testService) UnaryCall(ctx context.Context, r *testing_grpc.SimpleRequest) (*testing_grpc.SimpleResponse, error) {
	s.calls.Add(1)
	if s.refuse.Add(-1) >= 0 {
		return nil, status.Error(codes.Unavailable, "not now")
	}
	if of := r.GetResponseStatus(); of.GetCode() != 0 {
		return nil, status.Error(codes.Code(of.GetCode()), of.GetMessage())
	}
	if in, _ := metadata.FromIncomingContext(ctx); len(in.Get("x-in")) > 0 {
		grpc.SetHeader(ctx, metadata.Pairs("x-head", in.Get("x-in")[0]))
		grpc.SetTrailer(ctx, metadata.Pairs("x-tail-bin", "\x00\xff"))
	}
	return &testing_grpc.SimpleResponse{Payload: r.GetPayload()}, nil
}

// EmptyCall waits until its client gives up.
func (s *testService) EmptyCall(ctx context.Context, _ *testing_grpc.Empty) (*testing_grpc.Empty, error) {
	var left time.Duration
	if deadline, ok := ctx.Deadline(); ok {
		left = time.Until(deadline)
	}
	s.left <- left
	<-ctx.Done()
	s.ended <- ctx.Err()
	return nil, ctx.Err()
}

func (s *testService) StreamingOutputCall(r *testing_grpc.StreamingOutputCallRequest, out grpc.ServerStreamingServer[testing_grpc.StreamingOutputCallResponse]) error {
	for _, p := range r.GetResponseParameters() {
		if err := out.Send(&testing_grpc.StreamingOutputCallResponse{Payload: &testing_grpc.Payload{Body: make([]byte, p.GetSize())}}); err != nil {
			return err
		}
	}
	return nil
}

func (s *testService) StreamingInputCall(in grpc.ClientStreamingServer[testing_grpc.StreamingInputCallRequest, testing_grpc.StreamingInputCallResponse]) error {
	sum := 0
	for {
		r, err := in.Recv()
		if err == io.EOF {
			return in.SendAndClose(&testing_grpc.StreamingInputCallResponse{AggregatedPayloadSize: int32(sum)})
		}
		if err != nil {
			return err
		}
		sum += len(r.GetPayload().GetBody())
	}
}

func (s *testService) FullDuplexCall(both grpc.BidiStreamingServer[testing_grpc.StreamingOutputCallRequest, testing_grpc.StreamingOutputCallResponse]) error {
	for {
		r, err := both.Recv()
		if err == io.EOF {
			return status.Error(codes.Aborted, "all said")
		}
		if err != nil {
			return err
		}
		if err := both.Send(&testing_grpc.StreamingOutputCallResponse{Payload: r.GetPayload()}); err != nil {
			return err
		}
	}
}

// grpcServer runs a server with the service until the test's end.
func grpcServer(t *testing.T, service testing_grpc.TestServiceServer, healthy bool, options ...grpc.ServerOption) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(options...)
	testing_grpc.RegisterTestServiceServer(server, service)
	state := health.NewServer()
	if !healthy {
		state.SetServingStatus("", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	}
	grpc_health_v1.RegisterHealthServer(server, state)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
	return listener.Addr().String()
}

// serveGRPC lets the house serve a gateway.yaml with one listener, at a port of the
// kernel's choice, and connects a client to it.
func (h *house) serveGRPC(t *testing.T, text string) testing_grpc.TestServiceClient {
	t.Helper()
	decoded, problems := yaml.Decode("gateway.yaml", []byte(text))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	s, problems := snapshot.Compile(decoded.Set, nil)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	s.Listeners[0].Binds = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")} // which the file cannot say
	h.applied(s)
	client, err := grpc.NewClient(h.address("grpc"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return testing_grpc.NewTestServiceClient(client)
}

// grpcHouse is a gateway before two servers of grpc-go.
type grpcHouse struct {
	*house
	service *testService // both servers'
	client  testing_grpc.TestServiceClient
}

func newGRPCHouse(t *testing.T) *grpcHouse {
	t.Helper()
	h := &grpcHouse{house: newHouse(t, Options{Workers: 1}), service: &testService{left: make(chan time.Duration, 1), ended: make(chan error)}}
	one, two := grpcServer(t, h.service, true), grpcServer(t, h.service, true)
	const method = "grpc.testing.TestService/"
	h.client = h.serveGRPC(t, fmt.Sprintf(`
listeners: {grpc: {bind: "127.0.0.1:1", routes: all}}
routes:
  all:
    - hosts: ["*"]
      rules:
        - match: {grpc: %[1]sUnaryCall}
          to: servers
          retry: {attempts: 1, on: [unavailable], backoff: {base: 1ms}}
        - {match: {grpc: %[1]sEmptyCall, headers: {x-margin: "yes"}}, to: servers, grpc_timeout: {margin: 1h}}
        - {match: {grpc: %[1]sEmptyCall}, to: servers}
        - {match: {grpc: %[1]sHalfDuplexCall}, respond: {status: 403, body: "not for you"}}
        - {match: {grpc: %[1]sUnimplementedCall}, to: nobody}
        - {match: {grpc: grpc.testing.TestService, headers: {x-lost: {absent: true}}}, to: servers, timeout: 0s}
clusters:
  servers: {endpoints: [%[2]q, %[3]q], protocol: h2, health: {grpc: true}}
  nobody:  {endpoints: [%[4]q], protocol: h2}
`, method, one, two, freePort(t)))
	return h
}

// failed holds the error of a call against a status.
func failed(t *testing.T, err error, code codes.Code, message string) {
	t.Helper()
	if got := status.Convert(err); got.Code() != code || got.Message() != message {
		t.Errorf("got %v %q, want %v %q", got.Code(), got.Message(), code, message)
	}
}

func payload(n int) *testing_grpc.Payload {
	return &testing_grpc.Payload{Body: bytes.Repeat([]byte{'x'}, n)}
}

// Calls of every kind go through from grpc-go to grpc-go, and are counted by method.
func TestGRPC(t *testing.T) {
	h := newGRPCHouse(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()

	t.Run("unary", func(t *testing.T) {
		for _, n := range []int{0, 1, 100, 70_000, 1 << 20} {
			resp, err := h.client.UnaryCall(ctx, &testing_grpc.SimpleRequest{Payload: payload(n)})
			if err != nil || len(resp.GetPayload().GetBody()) != n {
				t.Errorf("%d bytes: %d, %v", n, len(resp.GetPayload().GetBody()), err)
			}
		}
	})
	t.Run("metadata", func(t *testing.T) {
		var head, tail metadata.MD
		_, err := h.client.UnaryCall(metadata.AppendToOutgoingContext(ctx, "x-in", "hello"), &testing_grpc.SimpleRequest{}, grpc.Header(&head), grpc.Trailer(&tail))
		if err != nil || strings.Join(head.Get("x-head"), ",") != "hello" || strings.Join(tail.Get("x-tail-bin"), ",") != "\x00\xff" {
			t.Errorf("%v %v %v", head, tail, err)
		}
	})
	t.Run("status", func(t *testing.T) {
		of := &testing_grpc.EchoStatus{Code: int32(codes.NotFound), Message: "nicht da: 100 % ü\t\n"}
		_, err := h.client.UnaryCall(ctx, &testing_grpc.SimpleRequest{ResponseStatus: of})
		failed(t, err, codes.NotFound, of.GetMessage())
	})
	t.Run("server streams", func(t *testing.T) {
		r := &testing_grpc.StreamingOutputCallRequest{}
		want := 0
		for n := range 40 {
			size := n * 5000
			want += size
			r.ResponseParameters = append(r.ResponseParameters, &testing_grpc.ResponseParameters{Size: int32(size)})
		}
		in, err := h.client.StreamingOutputCall(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		for {
			m, err := in.Recv()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got += len(m.GetPayload().GetBody())
		}
		if got != want {
			t.Errorf("%d bytes, want %d", got, want)
		}
	})
	t.Run("client streams", func(t *testing.T) {
		out, err := h.client.StreamingInputCall(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			if err := out.Send(&testing_grpc.StreamingInputCallRequest{Payload: payload(20_000)}); err != nil {
				t.Fatal(err)
			}
		}
		if resp, err := out.CloseAndRecv(); err != nil || resp.GetAggregatedPayloadSize() != 1_000_000 {
			t.Error(resp, err)
		}
	})
	t.Run("both stream", func(t *testing.T) {
		both, err := h.client.FullDuplexCall(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 { // no message is held back until another one comes
			if err := both.Send(&testing_grpc.StreamingOutputCallRequest{Payload: payload(i * i)}); err != nil {
				t.Fatal(err)
			}
			m, err := both.Recv()
			if err != nil || len(m.GetPayload().GetBody()) != i*i {
				t.Fatalf("message %d: %d bytes, %v", i, len(m.GetPayload().GetBody()), err)
			}
		}
		both.CloseSend()
		_, err = both.Recv()
		failed(t, err, codes.Aborted, "all said")
	})
	t.Run("retry", func(t *testing.T) {
		before := h.service.calls.Load()
		h.service.refuse.Store(1)
		if _, err := h.client.UnaryCall(ctx, &testing_grpc.SimpleRequest{Payload: payload(1000)}); err != nil {
			t.Error(err)
		}
		if n := h.service.calls.Load() - before; n != 2 {
			t.Errorf("%d tries", n)
		}
		h.service.refuse.Store(2)
		_, err := h.client.UnaryCall(ctx, &testing_grpc.SimpleRequest{})
		failed(t, err, codes.Unavailable, "not now")
		h.service.refuse.Store(0)
	})
	t.Run("answers of the gateway", func(t *testing.T) {
		_, err := h.client.HalfDuplexCall(ctx)
		if err != nil {
			t.Fatal(err)
		}
		both, _ := h.client.HalfDuplexCall(ctx)
		_, err = both.Recv()
		failed(t, err, codes.PermissionDenied, "not for you")
		_, err = h.client.UnimplementedCall(ctx, &testing_grpc.Empty{})
		failed(t, err, codes.Unavailable, "no connection to an endpoint")
		lost, _ := h.client.FullDuplexCall(metadata.AppendToOutgoingContext(ctx, "x-lost", "1"))
		_, err = lost.Recv()
		failed(t, err, codes.Unimplemented, "no route matches the call")
	})
	t.Run("deadline", func(t *testing.T) {
		// With an hour's margin the gateway answers long before the client gives up.
		far, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), "x-margin", "yes"), time.Hour+50*time.Millisecond)
		defer cancel()
		_, err := h.client.EmptyCall(far, &testing_grpc.Empty{})
		failed(t, err, codes.DeadlineExceeded, "no complete answer in time")
		if left := <-h.service.left; left <= 0 || left > time.Second {
			t.Errorf("the server was told of %v", left)
		}
		<-h.service.ended
	})
	t.Run("cancelled", func(t *testing.T) {
		gone, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := h.client.EmptyCall(gone, &testing_grpc.Empty{})
			done <- err
		}()
		if left := <-h.service.left; left != 0 {
			t.Errorf("the server was told of %v", left)
		}
		cancel()
		if err := <-h.service.ended; err != context.Canceled {
			t.Errorf("the server's call ended with %v", err)
		}
		if got := status.Code(<-done); got != codes.Canceled {
			t.Error(got)
		}
	})

	counted := func() map[string]uint64 {
		all := map[string]uint64{}
		for _, of := range h.registry.GRPC() {
			for _, m := range of.Workers {
				for code := range m.Codes {
					if n := m.Codes[code].Load(); n > 0 {
						all[fmt.Sprintf("%s/%s %v", of.Name, m.Method, codes.Code(code))] += n
					}
				}
			}
		}
		return all
	}
	want := map[string]uint64{
		"grpc.testing.TestService/UnaryCall OK": 7, "grpc.testing.TestService/UnaryCall NotFound": 1, "grpc.testing.TestService/UnaryCall Unavailable": 1,
		"grpc.testing.TestService/StreamingOutputCall OK": 1, "grpc.testing.TestService/StreamingInputCall OK": 1,
		"grpc.testing.TestService/FullDuplexCall Aborted": 1,
		"other/other PermissionDenied":                    2, "other/other Unavailable": 1, "other/other DeadlineExceeded": 1, "other/other Canceled": 1,
	}
	for end := time.Now().Add(patience); fmt.Sprint(counted()) != fmt.Sprint(want); {
		if time.Now().After(end) {
			t.Fatalf("counted %v\nwant    %v", counted(), want)
		}
	}
}

// Over TLS, calls and health checks agree on HTTP/2 by ALPN; an endpoint that says
// that it is not serving gets no calls.
func TestGRPCOverTLS(t *testing.T) {
	h := newHouse(t, Options{Workers: 1})
	web := httptest.NewUnstartedServer(nil)
	web.StartTLS() // for its certificate
	web.Close()
	secured := grpc.Creds(credentials.NewServerTLSFromCert(&web.TLS.Certificates[0]))
	good, bad := &testService{}, &testService{}
	client := h.serveGRPC(t, fmt.Sprintf(`
listeners: {grpc: {bind: "127.0.0.1:1", routes: all}}
routes: {all: [{hosts: ["*"], rules: [{match: {grpc: true}, to: servers}]}]}
clusters:
  servers: {endpoints: [%q, %q], protocol: h2, tls: {insecure: true}, health: {grpc: true}}
`, grpcServer(t, good, true, secured), grpcServer(t, bad, false, secured)))
	for range 10 {
		if _, err := client.UnaryCall(t.Context(), &testing_grpc.SimpleRequest{Payload: payload(100)}); err != nil {
			t.Error(err)
		}
	}
	if good.calls.Load() != 10 || bad.calls.Load() != 0 {
		t.Errorf("%d calls at the healthy endpoint, %d at the other one", good.calls.Load(), bad.calls.Load())
	}
	if why := h.log.find("health check cluster=servers endpoint="); !strings.Contains(why, "reason=NOT_SERVING") && !strings.Contains(why, "reason=1 check passed") {
		t.Errorf("health: %q", why)
	}
}
