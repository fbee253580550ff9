package transcode

import (
	"strings"

	transcoderpb "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_json_transcoder/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"longmen/gateway/filter"
)

// Bounds of a message that is held to be converted, in bytes.
const (
	standardMessage = 4 << 20
	largestMessage  = 256 << 20
)

// Kind is the filter's entry in the list of filters.
func Kind() *filter.Kind {
	return &filter.Kind{
		Name: "transcode", XDS: "envoy.filters.http.grpc_json_transcoder",
		Meaning:  "HTTP and JSON to gRPC, as the `google.api.http` options of a descriptor set say.",
		Example:  "{descriptors: api.pb, services: [bookstore.Bookstore]}",
		Messages: []proto.Message{(*transcoderpb.GrpcJsonTranscoder)(nil)},
		Keys:     keys(),
		Message:  message, Values: values, Compile: compile,
		Files: func(m proto.Message) []string {
			if name := m.(*transcoderpb.GrpcJsonTranscoder).GetProtoDescriptor(); name != "" {
				return []string{name}
			}
			return nil
		},
	}
}

func keys() []filter.Key {
	text, flag := filter.Type{Form: filter.Text}, filter.Type{Form: filter.Flag}
	size := filter.Type{Form: filter.Bytes, Low: 1 << 10, High: largestMessage}
	print := filter.Type{Form: filter.Object, Name: "transcode print", Keys: []filter.Key{
		{Name: "whitespace", Type: flag, Default: "false", Meaning: "Line breaks and indentation.", Twin: "`add_whitespace`", Example: "true"},
		{Name: "defaults", Type: flag, Default: "false", Meaning: "Fields with their default value too.", Twin: "`always_print_primitive_fields`", Example: "true"},
		{Name: "enums_as_numbers", Type: flag, Default: "false", Meaning: "Numbers in place of the names of enums.", Twin: "`always_print_enums_as_ints`", Example: "true"},
		{Name: "proto_names", Type: flag, Default: "false", Meaning: "Names of fields as in the .proto file, not in lowerCamelCase.", Twin: "`preserve_proto_field_names`", Example: "true"},
	}}
	return []filter.Key{
		{Name: "descriptors", Type: filter.Type{Form: filter.File}, Meaning: "File of a `FileDescriptorSet` with all imports (`protoc --include_imports -o`), read again when it changes. Required.", Twin: "`proto_descriptor`", Example: "api.pb"},
		{Name: "services", Type: filter.OneOrMoreOf(text), Meaning: "Full names of the services to transcode. Required.", Twin: "`services`", Example: "[bookstore.Bookstore]"},
		{Name: "auto_mapping", Type: flag, Default: "false", Meaning: "Methods without options answer to POST /pkg.Service/Method.", Twin: "`auto_mapping`", Example: "true"},
		{Name: "reroute", Type: flag, Default: "false", Meaning: "Find the rule again, by the call's path /pkg.Service/Method; else the rule of the request is that of the call.", Twin: "`match_incoming_request_route`, inverted", Example: "true"},
		{Name: "convert_status", Type: flag, Default: "true", Meaning: "Answer failed calls with a google.rpc.Status as JSON; else with no content.", Twin: "`convert_grpc_status`", Example: "false"},
		{Name: "print", Type: print, Meaning: "How JSON is written.", Twin: "`print_options`", Example: "{defaults: true}"},
		{Name: "streams", Type: filter.OneOf("array", "lines", "sse"), Default: "array", Meaning: "Messages of a server stream: one JSON array, one a line, or Server-Sent Events.", Twin: "`print_options.stream_newline_delimited`, `stream_sse_style_delimited`", Example: "lines"},
		{Name: "ignore_query", Type: filter.OneOrMoreOf(text), Meaning: "Query parameters that are left out.", Twin: "`ignored_query_parameters`", Example: "[key]"},
		{Name: "unknown_query", Type: filter.OneOf("reject", "ignore", "pass"), Default: "reject", Meaning: "A query parameter that no field is called like: answer 400, leave it out, or pass the request on as it is.", Twin: "`ignore_unknown_query_parameters`, `request_validation_options.reject_unknown_query_parameters`", Example: "ignore"},
		{Name: "plus_is_space", Type: flag, Default: "false", Meaning: "`+` in a query is a space.", Twin: "`query_param_unescape_plus`", Example: "true"},
		{Name: "unknown_methods", Type: filter.OneOf("pass", "reject"), Default: "pass", Meaning: "A request that no method answers to goes on as it is, or is answered with 404.", Twin: "`request_validation_options.reject_unknown_method`", Example: "reject"},
		{Name: "body_contradicts_path", Type: filter.OneOf("path", "reject"), Default: "path", Meaning: "A field that the path and the body set to different values: the path counts, or answer 400.", Twin: "`request_validation_options.reject_binding_body_field_collisions`", Example: "reject"},
		{Name: "unescape", Type: filter.OneOf("except_reserved", "except_slash", "all"), Default: "except_reserved", Meaning: "Percent-encodings that are decoded in variables of several segments; in others all are.", Twin: "`url_unescape_spec`", Example: "except_slash"},
		{Name: "any_verb", Type: flag, Default: "false", Meaning: "`:x` at the end of a path is a verb even if no method has it.", Twin: "`match_unregistered_custom_verb`", Example: "true"},
		{Name: "max_request", Type: size, Default: "4MiB", Meaning: "A message of the request (413).", Twin: "`max_request_body_size`", Example: "1MiB"},
		{Name: "max_response", Type: size, Default: "4MiB", Meaning: "A message of the response (502).", Twin: "`max_response_body_size`", Example: "16MiB"},
	}
}

func message(v filter.Values) proto.Message {
	on := func(v filter.Values, key string) bool { b, _ := v.Flag(key); return b }
	out := &transcoderpb.GrpcJsonTranscoder{
		DescriptorSet:                &transcoderpb.GrpcJsonTranscoder_ProtoDescriptor{ProtoDescriptor: v.Text("descriptors")},
		Services:                     v.Texts("services"),
		AutoMapping:                  on(v, "auto_mapping"),
		MatchIncomingRequestRoute:    !on(v, "reroute"),
		IgnoredQueryParameters:       v.Texts("ignore_query"),
		IgnoreUnknownQueryParameters: v.Text("unknown_query") == "ignore",
		QueryParamUnescapePlus:       on(v, "plus_is_space"),
		MatchUnregisteredCustomVerb:  on(v, "any_verb"),
		UrlUnescapeSpec:              unescapeSpecs[v.Text("unescape")],
		ConvertGrpcStatus:            true,
	}
	if convert, ok := v.Flag("convert_status"); ok {
		out.ConvertGrpcStatus = convert
	}
	p, _ := v["print"].(filter.Values)
	print := &transcoderpb.GrpcJsonTranscoder_PrintOptions{
		AddWhitespace: on(p, "whitespace"), AlwaysPrintPrimitiveFields: on(p, "defaults"),
		AlwaysPrintEnumsAsInts: on(p, "enums_as_numbers"), PreserveProtoFieldNames: on(p, "proto_names"),
		StreamNewlineDelimited: v.Text("streams") == "lines", StreamSseStyleDelimited: v.Text("streams") == "sse",
	}
	if proto.Size(print) > 0 {
		out.PrintOptions = print
	}
	check := &transcoderpb.GrpcJsonTranscoder_RequestValidationOptions{
		RejectUnknownMethod:              v.Text("unknown_methods") == "reject",
		RejectUnknownQueryParameters:     v.Text("unknown_query") == "" || v.Text("unknown_query") == "reject",
		RejectBindingBodyFieldCollisions: v.Text("body_contradicts_path") == "reject",
	}
	if proto.Size(check) > 0 {
		out.RequestValidationOptions = check
	}
	if n, ok := v.Number("max_request"); ok {
		out.MaxRequestBodySize = wrapperspb.UInt32(uint32(n))
	}
	if n, ok := v.Number("max_response"); ok {
		out.MaxResponseBodySize = wrapperspb.UInt32(uint32(n))
	}
	return out
}

// unescapeSpecs are the words for url_unescape_spec.
var unescapeSpecs = map[string]transcoderpb.GrpcJsonTranscoder_UrlUnescapeSpec{
	"except_slash": transcoderpb.GrpcJsonTranscoder_ALL_CHARACTERS_EXCEPT_SLASH,
	"all":          transcoderpb.GrpcJsonTranscoder_ALL_CHARACTERS,
}

func values(m proto.Message) filter.Values {
	c, out := m.(*transcoderpb.GrpcJsonTranscoder), filter.Values{}
	on := func(v filter.Values, key string, is bool) {
		if is {
			v[key] = true
		}
	}
	out.Put("descriptors", c.GetProtoDescriptor())
	out.Put("services", c.GetServices())
	on(out, "auto_mapping", c.GetAutoMapping())
	on(out, "reroute", !c.GetMatchIncomingRequestRoute())
	if !c.GetConvertGrpcStatus() {
		out["convert_status"] = false
	}
	print, p := filter.Values{}, c.GetPrintOptions()
	on(print, "whitespace", p.GetAddWhitespace())
	on(print, "defaults", p.GetAlwaysPrintPrimitiveFields())
	on(print, "enums_as_numbers", p.GetAlwaysPrintEnumsAsInts())
	on(print, "proto_names", p.GetPreserveProtoFieldNames())
	out.Put("print", print)
	switch {
	case p.GetStreamSseStyleDelimited():
		out["streams"] = "sse"
	case p.GetStreamNewlineDelimited():
		out["streams"] = "lines"
	}
	out.Put("ignore_query", c.GetIgnoredQueryParameters())
	check := c.GetRequestValidationOptions()
	switch {
	case c.GetIgnoreUnknownQueryParameters():
		out["unknown_query"] = "ignore"
	case !check.GetRejectUnknownQueryParameters():
		out["unknown_query"] = "pass"
	}
	on(out, "plus_is_space", c.GetQueryParamUnescapePlus())
	if check.GetRejectUnknownMethod() {
		out["unknown_methods"] = "reject"
	}
	if check.GetRejectBindingBodyFieldCollisions() {
		out["body_contradicts_path"] = "reject"
	}
	for word, spec := range unescapeSpecs {
		if spec == c.GetUrlUnescapeSpec() {
			out["unescape"] = word
		}
	}
	on(out, "any_verb", c.GetMatchUnregisteredCustomVerb())
	if n := c.GetMaxRequestBodySize(); n != nil {
		out["max_request"] = int64(n.GetValue())
	}
	if n := c.GetMaxResponseBodySize(); n != nil {
		out["max_response"] = int64(n.GetValue())
	}
	return out
}

// serviceNames are the names of what a descriptor set has, for hints.
func serviceNames(known []string) string {
	if len(known) > 8 {
		known = append(known[:8:8], "...")
	}
	return "the descriptors have " + strings.Join(known, ", ")
}
