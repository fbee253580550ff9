package command

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// startGreeter serves the demo's gRPC origin without pauses, and returns its
// address and a client of grpc-go's.
func startGreeter(t *testing.T, stopping <-chan struct{}) (string, *grpc.ClientConn) {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := newDemoGreeter(&demoGreeter{name: "greeter", stopping: stopping})
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(socket) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	client, err := grpc.NewClient(socket.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return socket.Addr().String(), client
}

// greeterMethods are those of the descriptors that gateway.yaml names.
func greeterMethods(t *testing.T) protoreflect.MethodDescriptors {
	t.Helper()
	raw, err := os.ReadFile("../../demo/greeter.pb")
	if err != nil {
		t.Fatal(err)
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(raw, &set); err != nil {
		t.Fatal(err)
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		t.Fatal(err)
	}
	service, err := files.FindDescriptorByName("demo.Greeter")
	if errors.Is(err, protoregistry.NotFound) {
		t.Fatal("demo/greeter.pb has no demo.Greeter")
	}
	return service.(protoreflect.ServiceDescriptor).Methods()
}

func who(method protoreflect.MethodDescriptor, name string, times uint32) *dynamicpb.Message {
	message := dynamicpb.NewMessage(method.Input())
	message.Set(method.Input().Fields().ByName("name"), protoreflect.ValueOfString(name))
	message.Set(method.Input().Fields().ByName("times"), protoreflect.ValueOfUint32(times))
	return message
}

// said is what a demo.Greeting says, and by whom.
func said(m *dynamicpb.Message) string {
	fields := m.Descriptor().Fields()
	return m.Get(fields.ByName("text")).String() + " by " + m.Get(fields.ByName("origin")).String()
}

func TestDemoGreets(t *testing.T) {
	_, client := startGreeter(t, nil)
	method := greeterMethods(t).ByName("Greet")
	answer := dynamicpb.NewMessage(method.Output())
	if err := client.Invoke(t.Context(), "/demo.Greeter/Greet", who(method, "Ada", 0), answer); err != nil || said(answer) != "hello Ada by greeter" {
		t.Errorf("%v, %v", said(answer), err)
	}
	for path, want := range map[string]codes.Code{"/demo.Greeter/Greet": codes.InvalidArgument, "/demo.Greeter/Insult": codes.Unimplemented} {
		if err := client.Invoke(t.Context(), path, who(method, "", 0), answer); status.Code(err) != want {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
	if err := client.Invoke(t.Context(), "/demo.Greeter/Greet", who(method, strings.Repeat("x", demoMaxMessage), 0), answer); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("too long: %v", err)
	}
	health, err := healthpb.NewHealthClient(client).Check(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil || health.Status != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("health: %v, %v", health, err)
	}
}

func TestDemoGreetsOften(t *testing.T) {
	stopping := make(chan struct{})
	_, client := startGreeter(t, stopping)
	method := greeterMethods(t).ByName("GreetOften")
	often := func(times uint32) (int, error) {
		call, err := client.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true}, "/demo.Greeter/GreetOften")
		if err != nil {
			return 0, err
		}
		if err := errors.Join(call.SendMsg(who(method, "Ada", times)), call.CloseSend()); err != nil {
			return 0, err
		}
		for n := 0; ; n++ {
			if err := call.RecvMsg(dynamicpb.NewMessage(method.Output())); err != nil {
				return n, err
			}
		}
	}
	for times, want := range map[uint32]int{0: 3, 1: 1, 5: 5, 4e9: demoMaxTimes} {
		if n, err := often(times); n != want || !errors.Is(err, io.EOF) {
			t.Errorf("%d times: %d greetings, %v", times, n, err)
		}
	}
}

// A stop does not wait for streams: they end with UNAVAILABLE.
func TestDemoStreamEndsWithTheServer(t *testing.T) {
	stopping := make(chan struct{})
	close(stopping)
	server := &demoGreeter{name: "greeter", pause: 1 << 40, stopping: stopping}
	w := discarded{http.Header{}}
	request, err := http.NewRequestWithContext(context.Background(), "POST", "/demo.Greeter/GreetOften", strings.NewReader("\x00\x00\x00\x00\x05\x0a\x03Ada"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/grpc")
	server.ServeHTTP(w, request)
	if got := w.header.Get(http.TrailerPrefix + "Grpc-Status"); got != "14" { // the first greeting is on its way
		t.Errorf("grpc-status %q", got)
	}
}

type discarded struct{ header http.Header }

func (d discarded) Header() http.Header         { return d.header }
func (d discarded) Write(p []byte) (int, error) { return len(p), nil }
func (d discarded) WriteHeader(int)             {}
func (d discarded) FlushError() error           { return nil }

// Whatever is no whole demo.Who is told so, and nothing worse happens.
func TestDemoWhoIsCutShort(t *testing.T) {
	whole := []byte("\x0a\x03Ada\x10\x05")
	if name, times, err := demoWho(whole); name != "Ada" || times != 5 || err != nil {
		t.Fatal(name, times, err)
	}
	for n := range whole {
		if _, _, err := demoWho(whole[:n]); err == nil && n != 5 { // 5 bytes are a name, which is enough
			t.Errorf("%d bytes of %q pass", n, whole)
		}
	}
	framed := append([]byte{0, 0, 0, 0, byte(len(whole))}, whole...)
	for n := range framed {
		if _, err := demoMessage(strings.NewReader(string(framed[:n]))); err == nil {
			t.Errorf("%d bytes of %q pass", n, framed)
		}
	}
}
