package transcode

import (
	"slices"
	"strconv"

	transcoderpb "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_json_transcoder/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"longmen/gateway/filter"
)

func compile(at filter.Scope, m proto.Message) filter.Filter {
	c := m.(*transcoderpb.GrpcJsonTranscoder)
	at.Only(c, "proto_descriptor", "proto_descriptor_bin", "services", "print_options", "match_incoming_request_route", "ignored_query_parameters",
		"auto_mapping", "ignore_unknown_query_parameters", "convert_grpc_status", "url_unescape_spec", "query_param_unescape_plus",
		"match_unregistered_custom_verb", "request_validation_options", "max_request_body_size", "max_response_body_size")
	p, check := c.GetPrintOptions(), c.GetRequestValidationOptions()
	at.Only(p, "add_whitespace", "always_print_primitive_fields", "always_print_enums_as_ints", "preserve_proto_field_names", "stream_newline_delimited", "stream_sse_style_delimited")
	at.Only(check, "reject_unknown_method", "reject_unknown_query_parameters", "reject_binding_body_field_collisions")
	t := &transcoder{
		tree:       tree{verbs: map[string]bool{}, anyVerb: c.GetMatchUnregisteredCustomVerb()},
		whitespace: p.GetAddWhitespace(), convertStatus: c.GetConvertGrpcStatus(), keepRoute: c.GetMatchIncomingRequestRoute(),
		plusIsSpace: c.GetQueryParamUnescapePlus(), ignoredQuery: c.GetIgnoredQueryParameters(), ignoreUnknown: c.GetIgnoreUnknownQueryParameters(),
		rejectQuery: check.GetRejectUnknownQueryParameters(), rejectMethod: check.GetRejectUnknownMethod(), rejectCollisions: check.GetRejectBindingBodyFieldCollisions(),
		maxRequest: limit(at, "max_request", c.GetMaxRequestBodySize()), maxAnswer: limit(at, "max_response", c.GetMaxResponseBodySize()),
	}
	switch {
	case p.GetStreamSseStyleDelimited():
		t.delimiter = asSSE
	case p.GetStreamNewlineDelimited():
		t.delimiter = asLines
	}
	switch spec := c.GetUrlUnescapeSpec(); spec {
	case transcoderpb.GrpcJsonTranscoder_ALL_CHARACTERS_EXCEPT_RESERVED:
	case transcoderpb.GrpcJsonTranscoder_ALL_CHARACTERS_EXCEPT_SLASH:
		t.unescape = exceptSlash
	case transcoderpb.GrpcJsonTranscoder_ALL_CHARACTERS:
		t.unescape = allCharacters
	default:
		at.Fail("unescape", "", "%v is not supported by this version yet", spec)
	}
	files := descriptors(at, c)
	if files == nil {
		return nil
	}
	t.types = dynamicpb.NewTypes(files)
	t.print = protojson.MarshalOptions{
		UseProtoNames: p.GetPreserveProtoFieldNames(), UseEnumNumbers: p.GetAlwaysPrintEnumsAsInts(),
		EmitDefaultValues: p.GetAlwaysPrintPrimitiveFields(), Resolver: t.types,
	}
	for i, name := range c.GetServices() {
		t.service(at, "services["+strconv.Itoa(i)+"]", name, files, c.GetAutoMapping())
	}
	if len(c.GetServices()) == 0 {
		return nil // as Envoy has it
	}
	return t
}

func limit(at filter.Scope, part string, n *wrapperspb.UInt32Value) int {
	switch v := n.GetValue(); {
	case n == nil:
		return standardMessage
	case v < 1 || v > largestMessage:
		at.Fail(part, "", "%d: must be from 1 to %d", v, largestMessage)
		return standardMessage
	default:
		return int(v)
	}
}

// descriptors reads the descriptor set; nil when that cannot be.
func descriptors(at filter.Scope, c *transcoderpb.GrpcJsonTranscoder) *protoregistry.Files {
	const part = "descriptors"
	raw := c.GetProtoDescriptorBin()
	if _, inline := c.GetDescriptorSet().(*transcoderpb.GrpcJsonTranscoder_ProtoDescriptorBin); !inline {
		if c.GetProtoDescriptor() == "" {
			at.Fail(part, "", "no descriptor set is named")
			return nil
		}
		var ok bool
		if raw, ok = at.File(part, c.GetProtoDescriptor()); !ok {
			return nil
		}
	}
	const hint = "make it with protoc --include_imports --descriptor_set_out"
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(raw, set); err != nil || len(set.GetFile()) == 0 {
		at.Fail(part, hint, "is no FileDescriptorSet")
		return nil
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		at.Fail(part, hint, "%s", plain(err))
		return nil
	}
	return files
}

// service files the bindings of a service.
func (t *transcoder) service(at filter.Scope, part, name string, files *protoregistry.Files, auto bool) {
	found, err := files.FindDescriptorByName(protoreflect.FullName(name))
	service, ok := found.(protoreflect.ServiceDescriptor)
	if err != nil || !ok {
		var known []string
		files.RangeFiles(func(f protoreflect.FileDescriptor) bool {
			for i := range f.Services().Len() {
				known = append(known, string(f.Services().Get(i).FullName()))
			}
			return true
		})
		slices.Sort(known)
		at.Fail(part, serviceNames(known), "there is no service %q", name)
		return
	}
	for i := range service.Methods().Len() {
		if err := bindings(service.Methods().Get(i), auto, t.tree.add); err != nil {
			at.Fail(part, "", "%v", err)
		}
	}
}
