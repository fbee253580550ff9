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

// extensionKeys says what may stand in each extension: "number", "duration",
// "bool", "string", "cidrs", or the words of a choice separated by "|".
var extensionKeys = map[string]map[string]string{
	ListenerExtension: {
		"max_connections": "number", "accept_rate": "number",
		"dot_segments": "reject|resolve|keep", "double_slash": "reject|merge|keep",
		"header_timeout": "duration", "body_timeout": "duration", "write_timeout": "duration",
		"min_request_rate": "number", "min_response_rate": "number", "rate_grace": "duration",
		"max_line": "number", "max_body": "number", "max_requests": "number",
		"half_close": "keep|abort", "via": "string", "forwarded": "off|append",
		"server_header": "keep|set|remove", "access_log": "off",
		"keepalive_idle": "duration", "keepalive_interval": "duration", "keepalive_probes": "number",
		"nodelay": "bool",
	},
	RouteExtension: {
		"max_body": "number", "retry_unsafe": "bool", "client": "cidrs", "content_type": "string",
	},
	ClusterExtension: {
		"idle_per_worker": "number", "max_age": "duration", "response_timeout": "duration",
	},
}

// maxNumber is the largest whole number that a Struct's double holds exactly.
const maxNumber = 1 << 53

// Extend returns metadata that carries values under Extension, or nil when there
// are none. It refuses what Extended would refuse.
func Extend(typeURL string, values Values) (*core.Metadata, error) {
	if len(values) == 0 {
		return nil, nil
	}
	fields := make(map[string]*structpb.Value, len(values))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		switch value := values[key].(type) {
		case time.Duration:
			fields[key] = structpb.NewStringValue(value.String())
		case int64:
			fields[key] = structpb.NewNumberValue(float64(value))
		case bool:
			fields[key] = structpb.NewBoolValue(value)
		case string:
			fields[key] = structpb.NewStringValue(value)
		case []string:
			list := &structpb.ListValue{}
			for _, item := range value {
				list.Values = append(list.Values, structpb.NewStringValue(item))
			}
			fields[key] = structpb.NewListValue(list)
		default:
			return nil, fmt.Errorf("%s.%s: a value of type %T", typeURL, key, value)
		}
	}
	typed := &xds.TypedStruct{TypeUrl: typeURL, Value: &structpb.Struct{Fields: fields}}
	if _, err := checkExtension(typed, typeURL); err != nil {
		return nil, err
	}
	packed, err := Pack(typed)
	if err != nil {
		return nil, err
	}
	return &core.Metadata{TypedFilterMetadata: map[string]*anypb.Any{Extension: packed}}, nil
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
	typed := &xds.TypedStruct{}
	if err := packed.UnmarshalTo(typed); err != nil {
		return nil, fmt.Errorf("metadata %q: want an xds.type.v3.TypedStruct: %w", Extension, err)
	}
	return checkExtension(typed, typeURL)
}

func checkExtension(typed *xds.TypedStruct, typeURL string) (Values, error) {
	if typed.GetTypeUrl() != typeURL {
		return nil, fmt.Errorf("metadata %q: type %q stands where %q belongs", Extension, typed.GetTypeUrl(), typeURL)
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
	case "cidrs":
		return cidrs(v)
	}
	if isString && slices.Contains(strings.Split(kind, "|"), text.StringValue) {
		return text.StringValue, nil
	}
	return nil, fmt.Errorf("want one of %s", strings.ReplaceAll(kind, "|", ", "))
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
