package resource

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	xds "github.com/cncf/xds/go/xds/type/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
)

// Values are the keys of one extension, as documented at its constant. What
// Extended returns has been checked: a key that is there has its right type.
type Values map[string]any

// Duration gives a duration; false if the key is absent.
func (v Values) Duration(key string) (time.Duration, bool) {
	d, ok := v[key].(time.Duration)
	return d, ok
}

// Number gives a whole number, never negative; false if the key is absent.
func (v Values) Number(key string) (int64, bool) {
	n, ok := v[key].(int64)
	return n, ok
}

// Word gives a string; false if the key is absent.
func (v Values) Word(key string) (string, bool) {
	s, ok := v[key].(string)
	return s, ok
}

// Bool gives a bool; false if the key is absent.
func (v Values) Bool(key string) (value, ok bool) {
	value, ok = v[key].(bool)
	return value, ok
}

// Strings gives a list; nil if the key is absent.
func (v Values) Strings(key string) []string {
	list, _ := v[key].([]string)
	return list
}

// Names gives a map of strings; nil if the key is absent.
func (v Values) Names(key string) map[string]string {
	names, _ := v[key].(map[string]string)
	return names
}

// Messages gives a map of messages in their JSON form; nil if the key is absent.
func (v Values) Messages(key string) map[string]*structpb.Struct {
	messages, _ := v[key].(map[string]*structpb.Struct)
	return messages
}

// Source gives a DataSource; nil if the key is absent.
func (v Values) Source(key string) *core.DataSource {
	source, _ := v[key].(*core.DataSource)
	return source
}

// extensionKeys says what may stand in each extension: "number", "duration",
// "bool", "string", "strings", "cidrs", "names", "messages", "source", or the words of a
// choice separated by "|".
var extensionKeys = map[string]map[string]string{
	ListenerExtension: {
		"max_connections": "number", "accept_rate": "number", "max_client_connections": "number", "max_active_requests": "number",
		"dot_segments": "reject|resolve|keep", "double_slash": "reject|merge|keep",
		"header_timeout": "duration", "body_timeout": "duration", "write_timeout": "duration",
		"min_request_rate": "number", "min_response_rate": "number", "rate_grace": "duration",
		"max_line": "number", "max_body": "number", "max_requests": "number",
		"half_close": "keep|abort", "via": "string", "forwarded": "off|append",
		"server_header": "keep|set|remove", "access_log": "off",
		"keepalive_idle": "duration", "keepalive_interval": "duration", "keepalive_probes": "number",
		"nodelay":                 "bool",
		"http2_max_stream_window": "number", "http2_max_connection_window": "number",
		"http2_control_burst": "number", "http2_control_rate": "number", "http2_continuations": "number",
	},
	RouteExtension: {
		"max_body": "number", "retry_unsafe": "bool", "client": "cidrs", "content_type": "string", "early_data": "bool",
		"sticky_keys": "strings",
	},
	ClusterExtension: {
		"idle_per_worker": "number", "max_age": "duration", "response_timeout": "duration",
		"http2_max_stream_window": "number", "http2_max_connections": "number", "max_endpoints": "number",
		"pending_timeout": "duration", "high_pending_timeout": "duration", "outlier_refused": "number", "outlier_log": "string",
		"failover": "strings", "loop_guard": "auto|on|off", "peer": "string",
		"standby_to": "string", "standby_local": "number", "standby_state": "standby|active",
		"standby_warm": "number", "standby_warm_every": "duration",
	},
	PeakEWMAExtension: {"decay": "duration", "choices": "number"},
	DownstreamTLSExtension: {
		"strict_sni": "bool", "plain": "bool", "ech": "string", "passthrough": "names", "domains": "messages",
		"crypto": "auto|openssl|go", "handshake_timeout": "duration", "max_handshakes": "number",
		"ocsp": "staple|off", "tlcp": "bool", "rfc8998": "bool", "early_data": "number", "early_data_remember": "number",
	},
	UpstreamTLSExtension: {"protocol": "tls|tlcp|rfc8998"},
	SM2Extension:         {"encrypt_certificate": "source", "encrypt_private_key": "source"},
	ACMEExtension: {
		"directory": "string", "agree": "bool", "email": "string", "hosts": "strings", "ca": "source", "storage": "string",
		"key": "p256|rsa2048", "challenge": "http-01|tls-alpn-01", "external_id": "string", "external_key": "source",
	},
}

// maxNumber is the largest whole number that a Struct's double holds exactly.
const maxNumber = 1 << 53

// Extend returns metadata that carries values under Extension, or nil when there
// are none. It refuses what Extended would refuse.
func Extend(typeURL string, values Values) (*core.Metadata, error) {
	packed, err := ExtendAny(typeURL, values)
	if packed == nil {
		return nil, err
	}
	return &core.Metadata{TypedFilterMetadata: map[string]*anypb.Any{Extension: packed}}, nil
}

// ExtendAny packs values as an xds.type.v3.TypedStruct, nil when there are none. It
// refuses what ExtendedAny would refuse.
func ExtendAny(typeURL string, values Values) (*anypb.Any, error) {
	if len(values) == 0 {
		return nil, nil
	}
	return PackExtension(typeURL, values)
}

// PackExtension is ExtendAny where the type alone says something: without values
// too it gives a message.
func PackExtension(typeURL string, values Values) (*anypb.Any, error) {
	fields := make(map[string]*structpb.Value, len(values))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		field, err := extensionField(values[key])
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", typeURL, key, err)
		}
		fields[key] = field
	}
	typed := &xds.TypedStruct{TypeUrl: typeURL, Value: &structpb.Struct{Fields: fields}}
	if _, err := checkExtension(typed, typeURL); err != nil {
		return nil, err
	}
	return Pack(typed)
}

func extensionField(value any) (*structpb.Value, error) {
	switch value := value.(type) {
	case time.Duration:
		return structpb.NewStringValue(value.String()), nil
	case int64:
		return structpb.NewNumberValue(float64(value)), nil
	case bool:
		return structpb.NewBoolValue(value), nil
	case string:
		return structpb.NewStringValue(value), nil
	case []string:
		list := &structpb.ListValue{}
		for _, item := range value {
			list.Values = append(list.Values, structpb.NewStringValue(item))
		}
		return structpb.NewListValue(list), nil
	case map[string]string:
		names := &structpb.Struct{Fields: map[string]*structpb.Value{}}
		for name, text := range value {
			names.Fields[name] = structpb.NewStringValue(text)
		}
		return structpb.NewStructValue(names), nil
	case map[string]*structpb.Struct:
		messages := &structpb.Struct{Fields: map[string]*structpb.Value{}}
		for name, message := range value {
			messages.Fields[name] = structpb.NewStructValue(message)
		}
		return structpb.NewStructValue(messages), nil
	case *core.DataSource:
		message, err := ToStruct(value)
		return structpb.NewStructValue(message), err
	}
	return nil, fmt.Errorf("a value of type %T", value)
}

// ToStruct gives a message in its JSON form, with the names of its fields as they
// are in the .proto file.
func ToStruct(m proto.Message) (*structpb.Struct, error) {
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	out := &structpb.Struct{}
	return out, protojson.Unmarshal(text, out)
}

// FromStruct reads a message's JSON form. An unknown field is an error.
func FromStruct(in *structpb.Struct, m proto.Message) error {
	text, err := protojson.Marshal(in)
	if err != nil {
		return err
	}
	return protojson.Unmarshal(text, m)
}

// Pack marshals deterministically, so that equal values are equal messages.
func Pack(m proto.Message) (*anypb.Any, error) {
	packed := &anypb.Any{}
	err := anypb.MarshalFrom(packed, m, proto.MarshalOptions{Deterministic: true})
	return packed, err
}

// Extended reads the extension of a resource's metadata. It is empty when there
// is none; a different type, an unknown key or a value of the wrong type or range
// is an error.
func Extended(metadata *core.Metadata, typeURL string) (Values, error) {
	packed, ok := metadata.GetTypedFilterMetadata()[Extension]
	if !ok {
		return Values{}, nil
	}
	values, err := ExtendedAny(packed, typeURL)
	if err != nil {
		return nil, fmt.Errorf("metadata %q: %w", Extension, err)
	}
	return values, nil
}

// IsExtension reports whether a message is a TypedStruct of that type.
func IsExtension(packed *anypb.Any, typeURL string) bool {
	typed := &xds.TypedStruct{}
	return packed.MessageIs(typed) && packed.UnmarshalTo(typed) == nil && typed.GetTypeUrl() == typeURL
}

// ExtendedAny is Extended for a packed TypedStruct.
func ExtendedAny(packed *anypb.Any, typeURL string) (Values, error) {
	typed := &xds.TypedStruct{}
	if err := packed.UnmarshalTo(typed); err != nil {
		return nil, fmt.Errorf("want an xds.type.v3.TypedStruct: %w", err)
	}
	return checkExtension(typed, typeURL)
}

func checkExtension(typed *xds.TypedStruct, typeURL string) (Values, error) {
	if typed.GetTypeUrl() != typeURL {
		return nil, fmt.Errorf("type %q stands where %q belongs", typed.GetTypeUrl(), typeURL)
	}
	known := extensionKeys[typeURL]
	values := Values{}
	for _, key := range slices.Sorted(maps.Keys(typed.GetValue().GetFields())) {
		kind, ok := known[key]
		if !ok {
			hint := ""
			if near, found := Nearest(key, slices.Sorted(maps.Keys(known))); found {
				hint = fmt.Sprintf(", did you mean %q?", near)
			}
			return nil, fmt.Errorf("%s has no key %q%s", typeURL, key, hint)
		}
		value, err := extensionValue(typed.GetValue().GetFields()[key], kind)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", typeURL, key, err)
		}
		values[key] = value
	}
	return values, nil
}

func extensionValue(v *structpb.Value, kind string) (any, error) {
	number, isNumber := v.GetKind().(*structpb.Value_NumberValue)
	text, isString := v.GetKind().(*structpb.Value_StringValue)
	flag, isBool := v.GetKind().(*structpb.Value_BoolValue)
	switch kind {
	case "number":
		if isNumber && number.NumberValue >= 0 && number.NumberValue <= maxNumber && number.NumberValue == math.Trunc(number.NumberValue) {
			return int64(number.NumberValue), nil
		}
		return nil, fmt.Errorf("want a whole number from 0 to %d", int64(maxNumber))
	case "bool":
		if isBool {
			return flag.BoolValue, nil
		}
		return nil, fmt.Errorf("want true or false")
	case "duration":
		if isString {
			if d, err := time.ParseDuration(text.StringValue); err == nil && d >= 0 {
				return d, nil
			}
		}
		return nil, fmt.Errorf(`want a duration such as "1.5s"`)
	case "string":
		if isString {
			return text.StringValue, nil
		}
		return nil, fmt.Errorf("want a string")
	case "strings":
		return texts(v)
	case "cidrs":
		return cidrs(v)
	case "names":
		return names(v)
	case "messages":
		return messages(v)
	case "source":
		source := &core.DataSource{}
		if v.GetStructValue() == nil || FromStruct(v.GetStructValue(), source) != nil {
			return nil, fmt.Errorf("want a DataSource") // the cause may hold a key's text
		}
		return source, nil
	}
	if isString && slices.Contains(strings.Split(kind, "|"), text.StringValue) {
		return text.StringValue, nil
	}
	return nil, fmt.Errorf("want one of %s", strings.ReplaceAll(kind, "|", ", "))
}

func names(v *structpb.Value) (any, error) {
	out := map[string]string{}
	for name, value := range v.GetStructValue().GetFields() {
		text, ok := value.GetKind().(*structpb.Value_StringValue)
		if !ok {
			return nil, fmt.Errorf("%q: want a string", name)
		}
		out[name] = text.StringValue
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("want a map of strings")
	}
	return out, nil
}

func messages(v *structpb.Value) (any, error) {
	out := map[string]*structpb.Struct{}
	for name, value := range v.GetStructValue().GetFields() {
		if out[name] = value.GetStructValue(); out[name] == nil {
			return nil, fmt.Errorf("%q: want a map", name)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("want a map of messages")
	}
	return out, nil
}

func texts(v *structpb.Value) (any, error) {
	list, ok := v.GetKind().(*structpb.Value_ListValue)
	if !ok || len(list.ListValue.GetValues()) == 0 {
		return nil, fmt.Errorf("want a list of strings")
	}
	var out []string
	for i, item := range list.ListValue.GetValues() {
		text, ok := item.GetKind().(*structpb.Value_StringValue)
		if !ok {
			return nil, fmt.Errorf("item %d: want a string", i)
		}
		out = append(out, text.StringValue)
	}
	return out, nil
}

func cidrs(v *structpb.Value) (any, error) {
	list, ok := v.GetKind().(*structpb.Value_ListValue)
	if !ok || len(list.ListValue.GetValues()) == 0 {
		return nil, fmt.Errorf("want a list of CIDRs")
	}
	var out []string
	for _, item := range list.ListValue.GetValues() {
		if _, err := netip.ParsePrefix(item.GetStringValue()); err != nil {
			return nil, fmt.Errorf(`want CIDRs such as "10.0.0.0/8": %w`, err)
		}
		out = append(out, item.GetStringValue())
	}
	return out, nil
}
