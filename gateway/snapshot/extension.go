package snapshot

import (
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	xds "github.com/cncf/xds/go/xds/type/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"longmen/gateway/resource"
)

// settings are the keys of one of Longmen's own extensions (package resource
// lists them). Each key that is read is taken out; what is left is unknown.
type settings struct {
	c      *compiler
	at     resource.Path
	fields map[string]*structpb.Value
	known  []string
}

// extension finds the TypedStruct of that type in a resource's metadata, and
// refuses everything else that stands there.
func (c *compiler) extension(at resource.Path, metadata *core.Metadata, typeURL string) *settings {
	s := &settings{c: c, at: at, fields: map[string]*structpb.Value{}}
	if metadata == nil {
		return s
	}
	c.only(at, metadata, "typed_filter_metadata")
	for _, key := range slices.Sorted(maps.Keys(metadata.GetTypedFilterMetadata())) {
		if key != resource.Extension {
			c.fail(at, "Metadata.typed_filter_metadata[%q] is not supported by this version yet", key)
			continue
		}
		var typed xds.TypedStruct
		if !c.unpack(at, metadata.GetTypedFilterMetadata()[key], &typed) {
			continue
		}
		c.only(at, &typed, "type_url", "value")
		if typed.GetTypeUrl() != typeURL {
			c.fail(at, "the extension has type %q; here it must be %q", typed.GetTypeUrl(), typeURL)
			continue
		}
		maps.Copy(s.fields, typed.GetValue().GetFields())
	}
	return s
}

// take removes a key and returns its value, nil when it is not set.
func (s *settings) take(key string) *structpb.Value {
	s.known = append(s.known, key)
	v := s.fields[key]
	delete(s.fields, key)
	return v
}

// done refuses the keys that nobody took.
func (s *settings) done() {
	for _, key := range slices.Sorted(maps.Keys(s.fields)) {
		s.c.failHint(join(s.at, key), didYouMean(key, s.known), "unknown key %q", key)
	}
}

// number reads a whole number in [low, high] into value, if it is set.
func (s *settings) number(key string, low, high int64, value *int64) {
	v := s.take(key)
	if v == nil {
		return
	}
	n, ok := v.GetKind().(*structpb.Value_NumberValue)
	switch {
	case !ok || n.NumberValue != math.Trunc(n.NumberValue):
		s.c.fail(join(s.at, key), "must be a whole number")
	case n.NumberValue < float64(low) || n.NumberValue > float64(high):
		s.c.fail(join(s.at, key), "%.0f: must be from %d to %d", n.NumberValue, low, high)
	default:
		*value = int64(n.NumberValue)
	}
}

// count is number for an int.
func (s *settings) count(key string, low, high int64, value *int) {
	wide := int64(*value)
	s.number(key, low, high, &wide)
	*value = int(wide)
}

// duration reads a duration of at least low into value, if it is set.
func (s *settings) duration(key string, low time.Duration, value *time.Duration) {
	v := s.take(key)
	if v == nil {
		return
	}
	text, ok := v.GetKind().(*structpb.Value_StringValue)
	if !ok {
		s.c.fail(join(s.at, key), `must be a duration such as "1.5s"`)
		return
	}
	d, err := time.ParseDuration(text.StringValue)
	if err != nil {
		s.c.fail(join(s.at, key), `%q is no duration such as "1.5s"`, text.StringValue)
		return
	}
	if d = s.c.bounded(join(s.at, key), d, *value); d < low {
		s.c.fail(join(s.at, key), "%v: must be at least %v", d, low)
		return
	}
	*value = d
}

// choice reads one of some words; "" when it is not set.
func (s *settings) choice(key string, words ...string) string {
	v := s.take(key)
	if v == nil {
		return ""
	}
	text, ok := v.GetKind().(*structpb.Value_StringValue)
	if !ok || !slices.Contains(words, text.StringValue) {
		s.c.failHint(join(s.at, key), didYouMean(v.GetStringValue(), words), "%q: must be one of %s", v.GetStringValue(), strings.Join(words, ", "))
		return ""
	}
	return text.StringValue
}

// text reads a string; ok is false when it is not set.
func (s *settings) text(key string) (value string, ok bool) {
	v := s.take(key)
	if v == nil {
		return "", false
	}
	text, ok := v.GetKind().(*structpb.Value_StringValue)
	if !ok {
		s.c.fail(join(s.at, key), "must be a string")
		return "", false
	}
	return text.StringValue, true
}

// texts reads a list of strings.
func (s *settings) texts(key string) []string {
	v := s.take(key)
	if v == nil {
		return nil
	}
	list, ok := v.GetKind().(*structpb.Value_ListValue)
	if !ok {
		s.c.fail(join(s.at, key), "must be a list of strings")
		return nil
	}
	var out []string
	for i, v := range list.ListValue.GetValues() {
		text, ok := v.GetKind().(*structpb.Value_StringValue)
		if !ok {
			s.c.fail(item(join(s.at, key), i), "must be a string")
			continue
		}
		out = append(out, text.StringValue)
	}
	return out
}

// boolean reads true or false into value, if it is set.
func (s *settings) boolean(key string, value *bool) {
	v := s.take(key)
	if v == nil {
		return
	}
	b, ok := v.GetKind().(*structpb.Value_BoolValue)
	if !ok {
		s.c.fail(join(s.at, key), "must be true or false")
		return
	}
	*value = b.BoolValue
}
