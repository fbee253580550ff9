package resource

import (
	"reflect"
	"strings"
	"testing"
	"time"

	xds "github.com/cncf/xds/go/xds/type/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
)

func TestExtendRoundTrip(t *testing.T) {
	values := Values{
		"max_connections": int64(5), "body_timeout": 1500 * time.Millisecond, "nodelay": false, "half_close": "abort", "via": "edge",
	}
	metadata, err := Extend(ListenerExtension, values)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Extended(metadata, ListenerExtension)
	if err != nil || !reflect.DeepEqual(values, again) {
		t.Errorf("%v, %v", again, err)
	}
	second, err := Extend(ListenerExtension, again)
	if err != nil || !proto.Equal(second, metadata) {
		t.Errorf("a second round differs: %v", err)
	}
	if n, ok := again.Number("max_connections"); n != 5 || !ok {
		t.Error("Number")
	}
	if d, ok := again.Duration("body_timeout"); d != 1500*time.Millisecond || !ok {
		t.Error("Duration")
	}
	if on, ok := again.Bool("nodelay"); on || !ok {
		t.Error("Bool")
	}
	if s, ok := again.Word("via"); s != "edge" || !ok {
		t.Error("Word")
	}
	if _, ok := again.Word("forwarded"); ok {
		t.Error("an absent key is there")
	}
	metadata, err = Extend(RouteExtension, Values{"client": []string{"10.0.0.0/8"}})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Extended(metadata, RouteExtension); err != nil || !reflect.DeepEqual(again.Strings("client"), []string{"10.0.0.0/8"}) {
		t.Errorf("%v, %v", again, err)
	}
	if metadata, err := Extend(ClusterExtension, nil); metadata != nil || err != nil {
		t.Error("no values need no metadata")
	}
	if values, err := Extended(nil, ClusterExtension); len(values) != 0 || err != nil {
		t.Error("no metadata has no values")
	}
}

func TestExtendedIsStrict(t *testing.T) {
	wrong := map[string]*structpb.Value{
		"max_conections":  structpb.NewNumberValue(1),
		"max_connections": structpb.NewNumberValue(-1),
		"accept_rate":     structpb.NewNumberValue(0.5),
		"max_line":        structpb.NewStringValue("5"),
		"max_body":        structpb.NewNumberValue(1 << 54),
		"body_timeout":    structpb.NewNumberValue(5),
		"write_timeout":   structpb.NewStringValue("-1s"),
		"nodelay":         structpb.NewStringValue("true"),
		"half_close":      structpb.NewStringValue("maybe"),
		"via":             structpb.NewBoolValue(true),
		"access_log":      structpb.NewNullValue(),
	}
	for key, value := range wrong {
		metadata := carrying(t, ListenerExtension, key, value)
		if _, err := Extended(metadata, ListenerExtension); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
	metadata := carrying(t, ListenerExtension, "max_conections", structpb.NewNumberValue(1))
	if _, err := Extended(metadata, ListenerExtension); !strings.Contains(err.Error(), `did you mean "max_connections"?`) {
		t.Errorf("%v", err)
	}
	if _, err := Extended(metadata, RouteExtension); err == nil {
		t.Error("another resource's extension is taken")
	}
	for _, list := range [][]any{{}, {"nowhere"}, {5.0}} {
		value, err := structpb.NewList(list)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Extended(carrying(t, RouteExtension, "client", structpb.NewListValue(value)), RouteExtension); err == nil {
			t.Errorf("client: %v is taken", list)
		}
	}
	packed, err := anypb.New(&structpb.Struct{})
	if err != nil {
		t.Fatal(err)
	}
	metadata = &core.Metadata{TypedFilterMetadata: map[string]*anypb.Any{Extension: packed}}
	if _, err := Extended(metadata, ListenerExtension); err == nil {
		t.Error("another message is taken")
	}
	if _, err := Extend(ListenerExtension, Values{"via": 5}); err == nil {
		t.Error("a value of a wrong Go type is taken")
	}
	if _, err := Extend(ListenerExtension, Values{"vai": "x"}); err == nil {
		t.Error("an unknown key is written")
	}
}

func carrying(t *testing.T, typeURL, key string, value *structpb.Value) *core.Metadata {
	t.Helper()
	packed, err := Pack(&xds.TypedStruct{TypeUrl: typeURL, Value: &structpb.Struct{Fields: map[string]*structpb.Value{key: value}}})
	if err != nil {
		t.Fatal(err)
	}
	return &core.Metadata{TypedFilterMetadata: map[string]*anypb.Any{Extension: packed}}
}
