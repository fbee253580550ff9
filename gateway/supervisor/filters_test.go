package supervisor

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	"longmen/gateway/snapshot"
	"longmen/gateway/source/yaml"
)

// parrot is a gRPC server.
type parrot struct {
	testgrpc.UnimplementedTestServiceServer
	next chan struct{} // lets a streaming call go on
	left chan error    // a client has left one
}

func (p *parrot) UnaryCall(ctx context.Context, in *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
	if s := in.GetResponseStatus(); s != nil {
		return nil, status.Error(codes.Code(s.GetCode()), s.GetMessage())
	}
	md, _ := metadata.FromIncomingContext(ctx)
	grpc.SetTrailer(ctx, metadata.Pairs("x-trailer", "t"))
	return &testgrpc.SimpleResponse{Payload: in.GetPayload(), Username: strings.Join(md.Get("x-user"), ",")}, nil
}

func (p *parrot) StreamingOutputCall(in *testgrpc.StreamingOutputCallRequest, to testgrpc.TestService_StreamingOutputCallServer) error {
	for _, r := range in.GetResponseParameters() {
		if err := to.Send(&testgrpc.StreamingOutputCallResponse{Payload: &testgrpc.Payload{Body: bytes.Repeat([]byte{'x'}, int(r.GetSize()))}}); err != nil {
			return err
		}
		select {
		case <-p.next: // the client has the message before there is another one
		case <-to.Context().Done():
			p.left <- to.Context().Err()
			return to.Context().Err()
		}
	}
	return nil
}

func (p *parrot) StreamingInputCall(from testgrpc.TestService_StreamingInputCallServer) error {
	sum := 0
	for {
		in, err := from.Recv()
		if err == io.EOF {
			return from.SendAndClose(&testgrpc.StreamingInputCallResponse{AggregatedPayloadSize: int32(sum)})
		}
		if err != nil {
			return err
		}
		sum += len(in.GetPayload().GetBody())
	}
}

// servesGRPC starts the server and gives its address.
func servesGRPC(t *testing.T, p *parrot) net.Addr {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	testgrpc.RegisterTestServiceServer(server, p)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ln) }()
	t.Cleanup(func() {
		server.Stop()
		<-ended
	})
	return ln.Addr()
}

// descriptors writes the descriptor set of the test service, with google.api.http options.
func descriptors(t *testing.T) string {
	t.Helper()
	file := protodesc.ToFileDescriptorProto(testgrpc.File_grpc_testing_test_proto)
	file.Dependency = append(file.Dependency, "google/api/annotations.proto")
	rules := map[string]*annotations.HttpRule{
		"UnaryCall": {Pattern: &annotations.HttpRule_Post{Post: "/v1/echo/{payload.type}"}, Body: "*",
			AdditionalBindings: []*annotations.HttpRule{{Pattern: &annotations.HttpRule_Get{Get: "/v1/fail/{response_status.code}"}}}},
		"StreamingOutputCall": {Pattern: &annotations.HttpRule_Post{Post: "/v1/stream"}, Body: "*"},
		"StreamingInputCall":  {Pattern: &annotations.HttpRule_Post{Post: "/v1/sum"}, Body: "*"},
	}
	for _, m := range file.GetService()[0].GetMethod() {
		if rule := rules[m.GetName()]; rule != nil {
			m.Options = &descriptorpb.MethodOptions{}
			proto.SetExtension(m.Options, annotations.E_Http, rule)
		}
	}
	set := &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{
		protodesc.ToFileDescriptorProto(descriptorpb.File_google_protobuf_descriptor_proto),
		protodesc.ToFileDescriptorProto(annotations.File_google_api_http_proto), protodesc.ToFileDescriptorProto(annotations.File_google_api_annotations_proto),
		protodesc.ToFileDescriptorProto(testgrpc.File_grpc_testing_empty_proto), protodesc.ToFileDescriptorProto(testgrpc.File_grpc_testing_messages_proto), file,
	}}
	raw, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "api.pb")
	if err := os.WriteFile(name, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// filteredHouse serves what the text says; its listeners are on kernel-chosen ports.
func filteredHouse(t *testing.T, text string) *house {
	t.Helper()
	decoded, problems := yaml.Decode("gateway.yaml", []byte(text))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	s, problems := snapshot.Compile(decoded.Set, nil)
	if s == nil {
		t.Fatal(problems)
	}
	for _, l := range s.Listeners {
		l.Binds = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	}
	h := newHouse(t, Options{})
	h.applied(s)
	return h
}

const filteredText = `
listeners:
  http:
    bind: "127.0.0.1:1"
    half_close: abort
    filters: [{cors: {allow_origins: [https://page.example], expose_headers: [grpc-status]}}, {grpc_web: {}}]
    routes:
      - hosts: ["*"]
        rules:
          - {match: {prefix: /v1}, to: grpc, filters: [{transcode: {descriptors: %s, services: [grpc.testing.TestService]}}]}
          - {match: {prefix: /lines}, rewrite: {prefix: /v1}, to: grpc}
          - {match: {prefix: /grpc.testing.TestService}, to: grpc}
          - {match: {path: /plain}, respond: {status: 200, body: plain}, filters: [{cors: off}, {grpc_web: off}]}
          - {match: {path: /page}, respond: {status: 200, body: page}}
          - {match: {path: /down}, to: down}
clusters:
  grpc: {endpoints: ["%s"], protocol: h2}
  down: {endpoints: ["%s"]}
`

// clients are HTTP/1.1 and HTTP/2 to the gateway.
func clients(t *testing.T) map[string]*http.Client {
	one := &http.Transport{}
	two := &http.Transport{Protocols: new(http.Protocols)}
	two.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(func() { one.CloseIdleConnections(); two.CloseIdleConnections() })
	return map[string]*http.Client{"HTTP/1.1": {Transport: one, Timeout: patience}, "HTTP/2": {Transport: two, Timeout: patience}}
}

func framed(t *testing.T, m proto.Message) []byte {
	t.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(raw))), raw...)
}

// frame reads a message of gRPC-Web.
func webFrame(t *testing.T, r io.Reader) (flag byte, message []byte) {
	t.Helper()
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		t.Fatal(err)
	}
	message = make([]byte, binary.BigEndian.Uint32(head[1:]))
	if _, err := io.ReadFull(r, message); err != nil {
		t.Fatal(err)
	}
	return head[0], message
}

func send(t *testing.T, c *http.Client, method, url, body string, fields ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func whole(t *testing.T, resp *http.Response) string {
	t.Helper()
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%q, %v", all, err)
	}
	return string(all)
}

// text64 reads base64 that may be padded after every piece.
type text64 struct {
	r    io.Reader
	rest []byte
}

func (d *text64) Read(p []byte) (int, error) {
	for len(d.rest) == 0 {
		var four [4]byte
		if _, err := io.ReadFull(d.r, four[:]); err != nil {
			return 0, err
		}
		out, err := base64.StdEncoding.DecodeString(string(four[:]))
		if err != nil {
			return 0, err
		}
		d.rest = out
	}
	n := copy(p, d.rest)
	d.rest = d.rest[n:]
	return n, nil
}

func TestFiltersToAgRPCServer(t *testing.T) {
	p := &parrot{next: make(chan struct{}), left: make(chan error)}
	at := servesGRPC(t, p)
	h := filteredHouse(t, fmt.Sprintf(filteredText, descriptors(t), at, freePort(t)))
	base := "http://" + h.address("http")
	const service = "/grpc.testing.TestService/"
	for name, c := range clients(t) {
		t.Run(name, func(t *testing.T) {
			t.Run("gRPC-Web unary", func(t *testing.T) {
				call := framed(t, &testgrpc.SimpleRequest{Payload: &testgrpc.Payload{Body: []byte("hello")}})
				for kind, body := range map[string]string{"application/grpc-web+proto": string(call), "application/grpc-web-text": base64.StdEncoding.EncodeToString(call)} {
					resp := send(t, c, "POST", base+service+"UnaryCall", body, "content-type", kind, "x-user", "u", "x-grpc-web", "1", "origin", "https://page.example")
					var r io.Reader = resp.Body
					if strings.Contains(kind, "text") {
						r = &text64{r: r}
					}
					flag, message := webFrame(t, r)
					var answer testgrpc.SimpleResponse
					if err := proto.Unmarshal(message, &answer); err != nil || flag != 0 || string(answer.GetPayload().GetBody()) != "hello" || answer.GetUsername() != "u" {
						t.Errorf("%d %v %v", flag, &answer, err)
					}
					flag, trailers := webFrame(t, r)
					if flag != 0x80 || !strings.Contains(string(trailers), "grpc-status: 0\r\n") || !strings.Contains(string(trailers), "x-trailer: t\r\n") {
						t.Errorf("%x %q", flag, trailers)
					}
					if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
						t.Errorf("%d bytes more, %v", n, err)
					}
					if resp.Header.Get("access-control-allow-origin") != "https://page.example" || !strings.HasPrefix(resp.Header.Get("content-type"), strings.TrimSuffix(kind, "+proto")) {
						t.Errorf("%v", resp.Header)
					}
				}
			})
			t.Run("gRPC-Web stream", func(t *testing.T) {
				call := framed(t, &testgrpc.StreamingOutputCallRequest{ResponseParameters: []*testgrpc.ResponseParameters{{Size: 1}, {Size: 70000}, {Size: 2}}})
				resp := send(t, c, "POST", base+service+"StreamingOutputCall", base64.StdEncoding.EncodeToString(call), "content-type", "application/grpc-web-text")
				r := &text64{r: resp.Body}
				for range 3 { // each comes although the next one waits for us
					if flag, _ := webFrame(t, r); flag != 0 {
						t.Errorf("flag %x", flag)
					}
					p.next <- struct{}{}
				}
				if flag, trailers := webFrame(t, r); flag != 0x80 || !strings.Contains(string(trailers), "grpc-status: 0") {
					t.Errorf("%x %q", flag, trailers)
				}
			})
			t.Run("gRPC-Web failures", func(t *testing.T) {
				call := framed(t, &testgrpc.SimpleRequest{ResponseStatus: &testgrpc.EchoStatus{Code: 5, Message: "none"}})
				for path, want := range map[string]string{service + "UnaryCall": "5 none", service + "Nope": "12 ", "/down": "14 ", "/nowhere": "12 "} {
					resp := send(t, c, "POST", base+path, string(call), "content-type", "application/grpc-web")
					got := resp.Header.Get("grpc-status") + " " + resp.Header.Get("grpc-message")
					if resp.StatusCode != 200 || !strings.HasPrefix(got, want) || resp.Header.Get("content-type") != "application/grpc-web+proto" || whole(t, resp) != "" {
						t.Errorf("%s: %d %s %s", path, resp.StatusCode, got, resp.Header)
					}
				}
				resp := send(t, c, "POST", base+service+"UnaryCall", "!!!!", "content-type", "application/grpc-web-text")
				if got := resp.Header.Get("grpc-status"); got != "13" {
					t.Errorf("%s %v", got, resp.Header)
				}
			})
			t.Run("transcoding", func(t *testing.T) {
				resp := send(t, c, "POST", base+"/v1/echo/COMPRESSABLE", `{"payload":{"body":"aGVsbG8="}}`, "content-type", "application/json", "x-user", "u")
				if got := whole(t, resp); resp.StatusCode != 200 || got != `{"payload":{"body":"aGVsbG8="},"username":"u"}` || resp.Header.Get("content-type") != "application/json" {
					t.Errorf("%d %s %v", resp.StatusCode, got, resp.Header)
				}
				large := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("y"), 300_000))
				resp = send(t, c, "POST", base+"/v1/echo/0", `{"payload":{"body":"`+large+`"}}`)
				if got := whole(t, resp); resp.StatusCode != 200 || got != `{"payload":{"body":"`+large+`"}}` {
					t.Errorf("%d, %d bytes", resp.StatusCode, len(got))
				}
				for target, want := range map[string]string{
					"/v1/fail/5?responseStatus.message=none":      `404 {"code":5,"message":"none"}`,
					"/v1/fail/x":                                  `400 {"code":3,"message":"response_status.code: \"x\" is no int32"}`,
					"/v1/fail/5?nope=1":                           `400 {"code":3,"message":"query parameter \"nope\": grpc.testing.SimpleRequest has no field \"nope\""}`,
					"/v1/fail/14?responseStatus.message=later%21": `503 {"code":14,"message":"later!"}`,
				} {
					resp := send(t, c, "GET", base+target, "")
					if got := fmt.Sprint(resp.StatusCode, " ", whole(t, resp)); got != want {
						t.Errorf("%s: %s", target, got)
					}
				}
				resp = send(t, c, "POST", base+"/v1/sum", `[{"payload":{"body":"YQ=="}},{"payload":{"body":"YmM="}}]`)
				if got := whole(t, resp); got != `{"aggregatedPayloadSize":3}` {
					t.Errorf("%d %s", resp.StatusCode, got)
				}
				resp = send(t, c, "POST", base+"/v1/sum", `[{"payload":{"body":"YQ=="}},{"nope":1}]`)
				if got := whole(t, resp); resp.StatusCode != 400 || !strings.Contains(got, `unknown field \"nope\"`) {
					t.Errorf("%d %s", resp.StatusCode, got)
				}
			})
			t.Run("transcoded stream", func(t *testing.T) {
				resp := send(t, c, "POST", base+"/v1/stream", `{"responseParameters":[{"size":1},{"size":2}]}`)
				for _, want := range []string{`[{"payload":{"body":"eA=="}}`, `,{"payload":{"body":"eHg="}}`, `]`} {
					got := make([]byte, len(want))
					if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != want {
						t.Fatalf("%q, %v", got, err)
					}
					if want != "]" {
						p.next <- struct{}{}
					}
				}
			})
			t.Run("client leaves", func(t *testing.T) {
				call := framed(t, &testgrpc.StreamingOutputCallRequest{ResponseParameters: []*testgrpc.ResponseParameters{{Size: 1}, {Size: 1}}})
				for _, ask := range [][]string{
					{service + "StreamingOutputCall", string(call), "application/grpc-web"},
					{"/v1/stream", `{"responseParameters":[{"size":1},{"size":2}]}`, "application/json"},
				} {
					resp := send(t, c, "POST", base+ask[0], ask[1], "content-type", ask[2])
					if _, err := io.ReadFull(resp.Body, make([]byte, 5)); err != nil {
						t.Fatal(err)
					}
					resp.Body.Close()
					if err := <-p.left; err != context.Canceled {
						t.Error(err)
					}
				}
			})
			t.Run("CORS", func(t *testing.T) {
				resp := send(t, c, "OPTIONS", base+"/page", "", "origin", "https://page.example", "access-control-request-method", "POST")
				if resp.StatusCode != 200 || resp.Header.Get("access-control-allow-origin") != "https://page.example" || resp.Header.Get("vary") != "Origin" || resp.Header.Get("server") != "longmen" {
					t.Errorf("%d %v", resp.StatusCode, resp.Header)
				}
				resp = send(t, c, "GET", base+"/page", "", "origin", "https://page.example")
				if got := whole(t, resp); got != "page" || resp.Header.Get("access-control-allow-origin") != "https://page.example" {
					t.Errorf("%s %v", got, resp.Header)
				}
				resp = send(t, c, "GET", base+"/plain", "", "origin", "https://page.example")
				if got := whole(t, resp); got != "plain" || resp.Header.Get("access-control-allow-origin") != "" || resp.Header.Get("vary") != "" {
					t.Errorf("%s %v", got, resp.Header)
				}
				resp = send(t, c, "GET", base+"/nowhere", "", "origin", "https://page.example")
				if resp.StatusCode != 404 || resp.Header.Get("access-control-allow-origin") == "" || resp.Header.Get("server") != "longmen" {
					t.Errorf("%d %v", resp.StatusCode, resp.Header)
				}
			})
		})
	}
}
