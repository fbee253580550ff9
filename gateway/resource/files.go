package resource

import (
	"maps"
	"slices"

	xds "github.com/cncf/xds/go/xds/type/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
)

// Files are the files whose content belongs to the set: certificates, keys,
// authorities, revocation lists. Each is there once, in order.
func (s *Set) Files() []string {
	found := map[string]bool{}
	for _, secret := range s.Secrets {
		files(secret.ProtoReflect(), found)
	}
	for _, l := range s.Listeners {
		for _, chain := range append(slices.Clone(l.GetFilterChains()), l.GetDefaultFilterChain()) {
			files(chain.GetTransportSocket().ProtoReflect(), found)
		}
	}
	for _, c := range s.Clusters {
		files(c.GetTransportSocket().ProtoReflect(), found)
	}
	return slices.Sorted(maps.Keys(found))
}

// files looks for DataSources in a message, in what is packed in it, and in
// Longmen's extensions.
func files(m protoreflect.Message, found map[string]bool) {
	switch held := m.Interface().(type) {
	case *core.DataSource:
		if name := held.GetFilename(); name != "" {
			found[name] = true
		}
		return
	case *xds.TypedStruct:
		filesOf(held.GetValue(), found)
		return
	case *anypb.Any:
		if inner, err := held.UnmarshalNew(); err == nil { // of an unknown type: refused elsewhere
			files(inner.ProtoReflect(), found)
		}
		return
	}
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.Message() == nil, field.IsMap() && field.MapValue().Message() == nil:
		case field.IsMap():
			value.Map().Range(func(_ protoreflect.MapKey, value protoreflect.Value) bool {
				files(value.Message(), found)
				return true
			})
		case field.IsList():
			for i := range value.List().Len() {
				files(value.List().Get(i).Message(), found)
			}
		default:
			files(value.Message(), found)
		}
		return true
	})
}

// filesOf looks for DataSources in their JSON form.
func filesOf(s *structpb.Struct, found map[string]bool) {
	for key, value := range s.GetFields() {
		if name := value.GetStringValue(); key == "filename" && name != "" {
			found[name] = true
		}
		filesOf(value.GetStructValue(), found)
		for _, item := range value.GetListValue().GetValues() {
			filesOf(item.GetStructValue(), found)
		}
	}
}

// WithoutKeys is the set as it may be shown: what holds a private key or the key
// of session tickets in itself says Redacted in its place. Names of files stay.
func (s *Set) WithoutKeys() *Set {
	shown := *s
	shown.Secrets = slices.Clone(s.Secrets)
	for i, secret := range s.Secrets {
		clone := proto.CloneOf(secret)
		redact(clone.GetTlsCertificate().GetPrivateKey())
		redact(clone.GetTlsCertificate().GetPkcs12())
		redact(clone.GetTlsCertificate().GetPassword())
		redact(clone.GetGenericSecret().GetSecret())
		for _, key := range clone.GetSessionTicketKeys().GetKeys() {
			redact(key)
		}
		for _, key := range clone.GetGenericSecret().GetSecrets() {
			redact(key)
		}
		redactExtension(clone.GetTlsCertificate().GetPrivateKeyProvider().GetTypedConfig())
		shown.Secrets[i] = clone
	}
	return &shown
}

func redact(source *core.DataSource) {
	switch source.GetSpecifier().(type) {
	case *core.DataSource_InlineString, *core.DataSource_InlineBytes:
		source.Specifier = &core.DataSource_InlineString{InlineString: Redacted}
	}
}

// redactExtension redacts the second key of an SM2 pair, and that of an external
// account; what cannot be read is left out as a whole.
func redactExtension(packed *anypb.Any) {
	if packed == nil {
		return
	}
	for typeURL, secret := range map[string]string{SM2Extension: "encrypt_private_key", ACMEExtension: "external_key"} {
		values, err := ExtendedAny(packed, typeURL)
		if err != nil {
			continue
		}
		if key := values.Source(secret); key != nil {
			redact(key)
		}
		if again, err := ExtendAny(typeURL, values); err == nil && again != nil {
			packed.Value = again.Value
			return
		}
	}
	packed.Value = nil
}
