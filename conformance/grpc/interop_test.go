// Package grpc judges gRPC through the built gateway by gRPC's own client and
// server: the interoperability test cases of grpc-go.
package grpc

import (
	"context"
	"fmt"
	"net"

	"runtime"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/grpclog"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/orca"

	"longmen/conformance/harness"
)

// fatal is where grpc's logger keeps why a case has failed: the test cases end
// in a fatal log line, which would end the process.
type fatal struct {
	grpclog.LoggerV2
	mu  sync.Mutex
	why string
}

func (f *fatal) end(why string) {
	f.mu.Lock()
	f.why = why
	f.mu.Unlock()
	runtime.Goexit()
}

func (f *fatal) Fatal(args ...any)                 { f.end(fmt.Sprint(args...)) }
func (f *fatal) Fatalln(args ...any)               { f.end(fmt.Sprintln(args...)) }
func (f *fatal) Fatalf(format string, args ...any) { f.end(fmt.Sprintf(format, args...)) }

// run makes a case on a goroutine of its own and says how it has failed.
func (f *fatal) run(ctx context.Context, name string, body func(context.Context)) (v harness.Verdict) {
	v.Name = name
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	f.mu.Lock()
	f.why = ""
	f.mu.Unlock()
	ended := make(chan bool, 1)
	go func() {
		good := false
		defer func() { ended <- good }()
		body(ctx)
		good = true
	}()
	select {
	case good := <-ended:
		if !good {
			f.mu.Lock()
			v.Fault = f.why
			f.mu.Unlock()
		}
	case <-ctx.Done():
		v.Fault = "not ended within " + patience.String()
	}
	return v
}

// patience bounds a case: most take milliseconds, the one with many calls seconds.
const patience = time.Minute

// interopCases are all that grpc-go's client has, but for those that want
// credentials of a cloud, and for reports out of band, which its server makes
// only every 30 seconds outside of its own module.
func interopCases(client testgrpc.TestServiceClient, missing testgrpc.UnimplementedServiceClient, cc *grpc.ClientConn, addr string, dial []grpc.DialOption) map[string]func(context.Context) {
	with := func(do func(context.Context, testgrpc.TestServiceClient, ...grpc.CallOption)) func(context.Context) {
		return func(ctx context.Context) { do(ctx, client) }
	}
	cases := map[string]func(context.Context){
		"empty_unary":                 with(interop.DoEmptyUnaryCall),
		"large_unary":                 with(interop.DoLargeUnaryCall),
		"client_streaming":            with(interop.DoClientStreaming),
		"server_streaming":            with(interop.DoServerStreaming),
		"ping_pong":                   with(interop.DoPingPong),
		"empty_stream":                with(interop.DoEmptyStream),
		"timeout_on_sleeping_server":  with(interop.DoTimeoutOnSleepingServer),
		"cancel_after_begin":          with(interop.DoCancelAfterBegin),
		"cancel_after_first_response": with(interop.DoCancelAfterFirstResponse),
		"custom_metadata":             with(interop.DoCustomMetadata),
		"status_code_and_message":     with(interop.DoStatusCodeAndMessage),
		"special_status_message":      with(interop.DoSpecialStatusMessage),
		"unimplemented_service":       func(ctx context.Context) { interop.DoUnimplementedService(ctx, missing) },
		"unimplemented_method":        func(ctx context.Context) { interop.DoUnimplementedMethod(ctx, cc) },
		"pick_first_unary":            func(ctx context.Context) { interop.DoPickFirstUnary(ctx, client) },
		"orca_per_rpc":                func(ctx context.Context) { interop.DoORCAPerRPCTest(ctx, client) },
	}
	soak := func(fresh bool) func(context.Context) {
		return func(ctx context.Context) {
			interop.DoSoakTest(ctx, interop.SoakTestConfig{
				RequestSize: 271828, ResponseSize: 314159, PerIterationMaxAcceptableLatency: patience, OverallTimeout: patience,
				ServerAddr: addr, NumWorkers: 4, Iterations: 20, MaxFailures: 0,
				ChannelForTest: func() (*grpc.ClientConn, func()) {
					if !fresh {
						return cc, func() {}
					}
					c, err := grpc.NewClient(addr, dial...)
					if err != nil {
						panic(err)
					}
					return c, func() { c.Close() }
				},
			})
		}
	}
	if harness.Full() { // it prints much
		cases["rpc_soak"], cases["channel_soak"] = soak(false), soak(true)
	}
	return cases
}

// TestInterop runs the cases through the gateway, in cleartext and over TLS, and
// without it: a case that fails there says nothing of the gateway.
func TestInterop(t *testing.T) {
	f := &fatal{LoggerV2: grpclog.NewLoggerV2(discard{}, discard{}, discard{})}
	grpclog.SetLoggerV2(f)
	origin := startServer(t)
	t.Run("direct", func(t *testing.T) {
		for _, v := range interopSuite(t, f, "direct", origin, nil) {
			if v.Fault != "" {
				t.Errorf("%s fails without a gateway: %s", v.Name, v.Fault)
			}
		}
	})
	for _, kind := range harness.Kinds() {
		t.Run(kind, func(t *testing.T) {
			certificate, trust := harness.Certificate(t)
			p := harness.Start(t, kind, origin, harness.Options{HTTP2: true, Upstream2: true})
			verdicts := interopSuite(t, f, "interop/cleartext", p.Addr, nil)
			secure := harness.Start(t, kind, origin, harness.Options{HTTP2: true, Upstream2: true, Cert: certificate})
			verdicts = append(verdicts, interopSuite(t, f, "interop/tls", secure.Addr, credentials.NewClientTLSFromCert(trust, "localhost"))...)
			harness.Report(t, "gRPC interop", kind, verdicts)
		})
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// named is grpc-go's test server with a name, which pick_first_unary asks for.
type named struct{ testgrpc.TestServiceServer }

func (n named) UnaryCall(ctx context.Context, in *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
	out, err := n.TestServiceServer.UnaryCall(ctx, in)
	if err == nil && in.GetFillServerId() {
		out.ServerId = "one"
	}
	return out, err
}

// startServer starts grpc-go's test server on a port that the kernel chooses.
func startServer(t *testing.T) string {
	t.Helper()
	s := grpc.NewServer(orca.CallMetricsServerOption(nil))
	testgrpc.RegisterTestServiceServer(s, named{interop.NewTestServer(interop.NewTestServerOptions{MetricsRecorder: orca.NewServerMetricsRecorder()})})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return l.Addr().String()
}

func interopSuite(t *testing.T, f *fatal, suite, addr string, secure credentials.TransportCredentials) (verdicts []harness.Verdict) {
	t.Helper()
	if secure == nil {
		secure = insecure.NewCredentials()
	}
	dial := []grpc.DialOption{
		grpc.WithTransportCredentials(secure),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"test_backend_metrics_load_balancer":{}}]}`), // orca_per_rpc asks it
	}
	cc, err := grpc.NewClient(addr, dial...)
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	for name, body := range interopCases(testgrpc.NewTestServiceClient(cc), testgrpc.NewUnimplementedServiceClient(cc), cc, addr, dial) {
		began := time.Now()
		v := f.run(t.Context(), suite+"/"+name, body)
		if d := time.Since(began); d > 2*time.Second {
			t.Logf("%s took %v", v.Name, d.Round(time.Millisecond))
		}
		verdicts = append(verdicts, v)
	}
	return verdicts
}
