package snapshot

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	stdhash "hash"
	"maps"
	"slices"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"longmen/gateway/resource"
)

// hash identifies the content of messages: equal content, equal hash, in every
// process of one build. Nil messages count as empty.
func hash(messages ...proto.Message) uint64 {
	h := sha256.New()
	for _, m := range messages {
		write(h, m)
	}
	return binary.BigEndian.Uint64(h.Sum(nil))
}

// listenerHash is the hash of a listener without its routes: while it stays the
// same, neither sockets nor settings of connections change.
func listenerHash(l *listener.Listener) uint64 {
	l = proto.CloneOf(l)
	for _, chain := range append(l.GetFilterChains(), l.GetDefaultFilterChain()) {
		for _, filter := range chain.GetFilters() {
			var m hcm.HttpConnectionManager
			if filter.GetTypedConfig().MessageIs(&m) && filter.GetTypedConfig().UnmarshalTo(&m) == nil {
				m.RouteSpecifier = nil
				if packed, err := anypb.New(&m); err == nil {
					filter.ConfigType = &listener.Filter_TypedConfig{TypedConfig: packed}
				}
			}
		}
	}
	return hash(l)
}

// write adds a message to h, preceded by its length.
func write(h stdhash.Hash, m proto.Message) {
	raw := marshal(m)
	if bytes.Contains(raw, []byte("type.googleapis.com/")) {
		m = proto.Clone(m)
		canonical(m.ProtoReflect())
		raw = marshal(m)
	}
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(raw)))
	h.Write(length[:])
	h.Write(raw)
}

func marshal(m proto.Message) []byte {
	if !m.ProtoReflect().IsValid() {
		return nil
	}
	raw, _ := proto.MarshalOptions{Deterministic: true}.Marshal(m) // invalid UTF-8 is refused elsewhere
	return raw
}

// canonical packs every packed message within m anew, since the maps in it may
// have been written in any order.
func canonical(m protoreflect.Message) {
	if packed, ok := m.Interface().(*anypb.Any); ok {
		inner, err := packed.UnmarshalNew()
		if err != nil {
			return // of an unknown type: compared byte by byte
		}
		canonical(inner.ProtoReflect())
		if raw, err := (proto.MarshalOptions{Deterministic: true}).Marshal(inner); err == nil {
			packed.Value = raw
		}
		return
	}
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap():
			if field.MapValue().Message() != nil {
				value.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
					canonical(v.Message())
					return true
				})
			}
		case field.Message() == nil:
		case field.IsList():
			for i := range value.List().Len() {
				canonical(value.List().Get(i).Message())
			}
		default:
			canonical(value.Message())
		}
		return true
	})
}

// version is a short name of a set's content and that of its files. Eight digits tell any two of some
// thousands of versions apart.
func (s *Snapshot) version(set *resource.Set) string {
	h := sha256.New()
	for _, l := range set.Listeners {
		write(h, l)
	}
	for _, r := range set.Routes {
		known := s.tables[string(join("routes", r.GetName()))].hash
		h.Write(binary.BigEndian.AppendUint64(nil, known))
	}
	for _, c := range set.Clusters {
		write(h, c)
	}
	for _, e := range set.Endpoints {
		write(h, e)
	}
	for _, s := range set.Secrets {
		write(h, s)
	}
	for _, name := range slices.Sorted(maps.Keys(s.files)) {
		content := s.files[name].sum
		h.Write(content[:])
	}
	return hex.EncodeToString(h.Sum(nil)[:4])
}
