package transcode

import (
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	transcoderpb "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_json_transcoder/v3"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// shop is the .proto file of the tests.
const shop = `
name: "shop.proto" package: "shop" syntax: "proto3"
dependency: "google/api/annotations.proto" dependency: "google/api/httpbody.proto"
dependency: "google/protobuf/timestamp.proto" dependency: "google/protobuf/duration.proto" dependency: "google/protobuf/field_mask.proto"
dependency: "google/protobuf/wrappers.proto" dependency: "google/protobuf/empty.proto" dependency: "google/rpc/error_details.proto"
enum_type { name: "Colour" value {name: "NONE" number: 0} value {name: "RED" number: 1} }
message_type { name: "Maker"
  field {name: "name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "name"}
  field {name: "since" number: 2 type: TYPE_MESSAGE type_name: ".google.protobuf.Timestamp" label: LABEL_OPTIONAL json_name: "since"} }
message_type { name: "Item"
  field {name: "id" number: 1 type: TYPE_INT64 label: LABEL_OPTIONAL json_name: "id"}
  field {name: "display_name" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "displayName"}
  field {name: "tags" number: 3 type: TYPE_STRING label: LABEL_REPEATED json_name: "tags"}
  field {name: "colour" number: 4 type: TYPE_ENUM type_name: ".shop.Colour" label: LABEL_OPTIONAL json_name: "colour"}
  field {name: "maker" number: 5 type: TYPE_MESSAGE type_name: ".shop.Maker" label: LABEL_OPTIONAL json_name: "maker"}
  field {name: "price" number: 6 type: TYPE_DOUBLE label: LABEL_OPTIONAL json_name: "price"}
  field {name: "sold" number: 7 type: TYPE_BOOL label: LABEL_OPTIONAL json_name: "sold"}
  field {name: "blob" number: 8 type: TYPE_BYTES label: LABEL_OPTIONAL json_name: "blob"}
  field {name: "stock" number: 9 type: TYPE_UINT32 label: LABEL_OPTIONAL json_name: "stock"}
  field {name: "wait" number: 10 type: TYPE_MESSAGE type_name: ".google.protobuf.Duration" label: LABEL_OPTIONAL json_name: "wait"}
  field {name: "limit" number: 11 type: TYPE_MESSAGE type_name: ".google.protobuf.Int32Value" label: LABEL_OPTIONAL json_name: "limit"}
  field {name: "mask" number: 12 type: TYPE_MESSAGE type_name: ".google.protobuf.FieldMask" label: LABEL_OPTIONAL json_name: "mask"}
  field {name: "on" number: 13 type: TYPE_MESSAGE type_name: ".google.protobuf.BoolValue" label: LABEL_OPTIONAL json_name: "on"}
  field {name: "weight" number: 14 type: TYPE_FLOAT label: LABEL_OPTIONAL json_name: "weight"}
  field {name: "path" number: 15 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "path"}
  field {name: "small" number: 16 type: TYPE_SINT32 label: LABEL_OPTIONAL json_name: "small"}
  field {name: "big" number: 17 type: TYPE_FIXED64 label: LABEL_OPTIONAL json_name: "big"} }
message_type { name: "Upload"
  field {name: "name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "name"}
  field {name: "file" number: 2 type: TYPE_MESSAGE type_name: ".google.api.HttpBody" label: LABEL_OPTIONAL json_name: "file"} }
message_type { name: "Items" field {name: "list" number: 1 type: TYPE_MESSAGE type_name: ".shop.Item" label: LABEL_REPEATED json_name: "list"} }
service { name: "Shop"
  method {name: "Get" input_type: ".shop.Item" output_type: ".shop.Item" options { [google.api.http] {
    get: "/v1/items/{id}" additional_bindings {get: "/v1/makers/{maker.name=makers/*}/items"} additional_bindings {get: "/v1/files/{path=**}"}
    additional_bindings {get: "/v1/items/{id}:peek"} additional_bindings {custom {kind: "REPORT" path: "/v1/report"}} additional_bindings {get: "/"} } } }
  method {name: "Put" input_type: ".shop.Item" output_type: ".shop.Item" options { [google.api.http] { put: "/v1/items/{id}" body: "*" } } }
  method {name: "SetMaker" input_type: ".shop.Item" output_type: ".shop.Item" options { [google.api.http] { patch: "/v1/items/{id}/maker" body: "maker" response_body: "maker" } } }
  method {name: "List" input_type: ".shop.Item" output_type: ".shop.Items" options { [google.api.http] { get: "/v1/items" response_body: "list" } } }
  method {name: "Watch" input_type: ".shop.Item" output_type: ".shop.Item" server_streaming: true options { [google.api.http] { get: "/v1/watch" } } }
  method {name: "Fill" input_type: ".shop.Item" output_type: ".shop.Item" client_streaming: true options { [google.api.http] { post: "/v1/fill" body: "*" } } }
  method {name: "Chat" input_type: ".shop.Item" output_type: ".shop.Item" client_streaming: true server_streaming: true options { [google.api.http] { post: "/v1/chat" body: "*" } } }
  method {name: "Save" input_type: ".shop.Upload" output_type: ".google.api.HttpBody" options { [google.api.http] { post: "/v1/save/{name}" body: "file" } } }
  method {name: "Load" input_type: ".shop.Item" output_type: ".google.api.HttpBody" server_streaming: true options { [google.api.http] { get: "/v1/load" } } }
  method {name: "Pour" input_type: ".google.api.HttpBody" output_type: ".shop.Item" client_streaming: true options { [google.api.http] { post: "/v1/pour" body: "*" } } }
  method {name: "Plain" input_type: ".shop.Item" output_type: ".shop.Item"} }
`

func descriptorSet(t testing.TB) []byte {
	t.Helper()
	set := &descriptorpb.FileDescriptorSet{}
	for _, f := range []protoreflect.FileDescriptor{
		descriptorpb.File_google_protobuf_descriptor_proto, anypb.File_google_protobuf_any_proto,
		timestamppb.File_google_protobuf_timestamp_proto, durationpb.File_google_protobuf_duration_proto, fieldmaskpb.File_google_protobuf_field_mask_proto,
		wrapperspb.File_google_protobuf_wrappers_proto, emptypb.File_google_protobuf_empty_proto,
		annotations.File_google_api_http_proto, annotations.File_google_api_annotations_proto, httpbody.File_google_api_httpbody_proto,
		errdetails.File_google_rpc_error_details_proto,
	} {
		set.File = append(set.File, protodesc.ToFileDescriptorProto(f))
	}
	file := &descriptorpb.FileDescriptorProto{}
	if err := prototext.Unmarshal([]byte(shop), file); err != nil {
		t.Fatal(err)
	}
	set.File = append(set.File, file)
	raw, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// scope collects problems.
type scope struct {
	problems []string
	files    map[string][]byte
}

func (s *scope) Fail(part, hint, format string, args ...any) {
	text := part + ": " + fmt.Sprintf(format, args...)
	if hint != "" {
		text += " (" + hint + ")"
	}
	s.problems = append(s.problems, text)
}
func (s *scope) Only(proto.Message, ...string) {}
func (s *scope) File(part, name string) ([]byte, bool) {
	data, ok := s.files[name]
	if !ok {
		s.Fail(part, "", "%s cannot be read", name)
	}
	return data, ok
}

func newTranscoder(t testing.TB, change func(c *transcoderpb.GrpcJsonTranscoder)) *transcoder {
	t.Helper()
	c := message(map[string]any{"descriptors": "api.pb", "services": []any{"shop.Shop"}}).(*transcoderpb.GrpcJsonTranscoder)
	if change != nil {
		change(c)
	}
	s := &scope{files: map[string][]byte{"api.pb": descriptorSet(t)}}
	f := compile(s, c)
	if len(s.problems) > 0 {
		t.Fatal(strings.Join(s.problems, "\n"))
	}
	return f.(*transcoder)
}

type runner func(co *worker.Coroutine)

func (f runner) Run(co *worker.Coroutine) { f(co) }

// onLoop runs f on a coroutine.
func onLoop(t testing.TB, f func(s *stream.Stream)) {
	t.Helper()
	l, err := worker.New(worker.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()
	defer func() {
		l.Stop()
		<-ended
		l.Close()
	}()
	done := make(chan struct{})
	l.Do(func() {
		l.Go(runner(func(co *worker.Coroutine) {
			defer close(done)
			s := &stream.Stream{Loop: l, Co: co}
			s.Request.Scheme, s.Request.Major = "http", 1
			f(s)
		}))
	})
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end")
	}
}

// pieces is a body that comes in pieces.
type pieces struct {
	list    [][]byte
	trailer *stream.Header
	err     error
}

func (p *pieces) Next(*worker.Coroutine) ([]byte, error) {
	if len(p.list) == 0 {
		if p.err != nil {
			return nil, p.err
		}
		return nil, io.EOF
	}
	first := p.list[0]
	p.list = p.list[1:]
	return first, nil
}
func (p *pieces) Buffered() ([]byte, bool) { return nil, false }
func (p *pieces) Stop()                    { p.list = nil }
func (p *pieces) Trailer() *stream.Header  { return p.trailer }

// cut is text in pieces of n bytes.
func cut(text string, n int) *pieces {
	p := &pieces{}
	for len(text) > n {
		p.list, text = append(p.list, []byte(text[:n])), text[n:]
	}
	p.list = append(p.list, []byte(text))
	return p
}

// exchange is one request through the filter and what the server saw of it.
type exchange struct {
	method, target, contentType, body string

	status          string // grpc-status of the answer; "" is 0
	details         string
	answers         []string // messages as JSON
	trailersOnly    bool
	split           int // bytes of a piece; 0 is all at once
	withoutTrailers bool

	called  string // path of the call; "" when it passed or was answered
	asked   []string
	code    int
	got     string
	head    string // content-type
	failed  error  // of the answer's body
	logged  *stream.Error
	rerout  bool
	grpcMsg string
}

func (x *exchange) run(t testing.TB, f *transcoder) *exchange {
	t.Helper()
	onLoop(t, func(s *stream.Stream) {
		r := &s.Request
		r.Method = []byte(x.method)
		path, query, has := strings.Cut(x.target, "?")
		r.Path, r.Query, r.HasQuery = []byte(path), []byte(query), has
		if x.contentType != "" {
			r.Header.AddString("content-type", x.contentType)
		}
		if x.split == 0 {
			x.split = 1 << 30
		}
		if x.body != "" {
			r.Body, r.Length = cut(x.body, x.split), int64(len(x.body))
		}
		resp, err := f.Serve(s, func(s *stream.Stream) (*stream.Response, error) { return x.server(t, f, s) })
		if err != nil {
			t.Errorf("%s: %v", x.target, err)
			return
		}
		x.logged, x.rerout = s.Record.Err, s.Reroute
		x.code, x.head, x.grpcMsg = resp.Status, string(resp.Header.Get("content-type")), string(resp.Header.Get("grpc-message"))
		var out strings.Builder
		for resp.Body != nil {
			p, err := resp.Body.Next(s.Co)
			if err != nil {
				if err != io.EOF {
					x.failed = err
				}
				break
			}
			out.Write(p)
		}
		x.got = out.String()
		if resp.Length >= 0 && int(resp.Length) != len(x.got) {
			t.Errorf("%s: the length says %d, %d bytes came", x.target, resp.Length, len(x.got))
		}
	})
	return x
}

// server answers as a gRPC server does.
func (x *exchange) server(t testing.TB, f *transcoder, s *stream.Stream) (*stream.Response, error) {
	r := &s.Request
	if !r.GRPC() {
		return s.Respond(299, "", []byte("passed")), nil
	}
	x.called = string(r.Path)
	service, method, _ := strings.Cut(x.called[1:], "/")
	found, err := f.types.FindMessageByName("shop.Item") // the service is in the same file
	if err != nil {
		t.Error(err)
		return nil, err
	}
	m := found.Descriptor().ParentFile().Services().ByName(protoreflect.FullName(service).Name()).Methods().ByName(protoreflect.Name(method))
	in := &frames{body: r.Body, limit: 1 << 30}
	for r.Body != nil {
		raw, err := in.next(s.Co)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		asked := dynamicpb.NewMessage(m.Input())
		if err := proto.Unmarshal(raw, asked); err != nil {
			t.Error(err)
		}
		text, err := f.json(asked, protojson.MarshalOptions{Resolver: f.types})
		if err != nil {
			t.Error(err)
		}
		x.asked = append(x.asked, string(text))
	}
	var wire []byte
	for _, text := range x.answers {
		answer := dynamicpb.NewMessage(m.Output())
		if err := (protojson.UnmarshalOptions{Resolver: f.types}).Unmarshal([]byte(text), answer); err != nil {
			t.Error(err)
		}
		raw, err := proto.Marshal(answer)
		if err != nil {
			t.Error(err)
		}
		wire = append(binary.BigEndian.AppendUint32(append(wire, 0), uint32(len(raw))), raw...)
	}
	resp := s.Respond(200, "", nil)
	resp.Header.AddString("content-type", "application/grpc")
	status := &stream.Header{}
	if x.trailersOnly {
		status = &resp.Header
	}
	if x.status == "" {
		x.status = "0"
	}
	status.AddString("grpc-status", x.status)
	if x.status != "0" {
		status.AddString("grpc-message", "went%20wrong")
	}
	if x.details != "" {
		status.AddString("grpc-status-details-bin", x.details)
	}
	if !x.trailersOnly {
		body := cut(string(wire), x.split)
		if body.trailer = status; x.withoutTrailers {
			body.trailer = nil
		}
		resp.Body, resp.Length = body, -1
	}
	return resp, nil
}
