package snapshot

import (
	"maps"
	"slices"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"longmen/gateway/resource"
)

// settings are the values of one of Longmen's own extensions, to be read within
// bounds. What is not set leaves the reader's variable as it is.
type settings struct {
	c      *compiler
	at     resource.Path
	values resource.Values
}

// extension reads the extension of that type from a resource's metadata, and
// refuses everything else that stands there.
func (c *compiler) extension(at resource.Path, metadata *core.Metadata, typeURL string) *settings {
	s := &settings{c: c, at: at}
	if metadata == nil {
		return s
	}
	c.only(at, metadata, "typed_filter_metadata")
	for _, key := range slices.Sorted(maps.Keys(metadata.GetTypedFilterMetadata())) {
		if key != resource.Extension {
			c.fail(at, "Metadata.typed_filter_metadata[%q] is not supported by this version yet", key)
		}
	}
	var err error
	if s.values, err = resource.Extended(metadata, typeURL); err != nil {
		c.fail(at, "%v", err)
	}
	return s
}

func (s *settings) number(key string, low, high int64, value *int64) {
	n, ok := s.values.Number(key)
	switch {
	case !ok:
	case n < low || n > high:
		s.c.fail(join(s.at, key), "%d: must be from %d to %d", n, low, high)
	default:
		*value = n
	}
}

// count is number for an int.
func (s *settings) count(key string, low, high int64, value *int) {
	wide := int64(*value)
	s.number(key, low, high, &wide)
	*value = int(wide)
}

func (s *settings) duration(key string, low time.Duration, value *time.Duration) {
	d, ok := s.values.Duration(key)
	if !ok {
		return
	}
	if d = s.c.bounded(join(s.at, key), d, *value); d < low {
		s.c.fail(join(s.at, key), "%v: must be at least %v", d, low)
		return
	}
	*value = d
}

// word gives a string, "" when it is not set.
func (s *settings) word(key string) string {
	text, _ := s.values.Word(key)
	return text
}

func (s *settings) boolean(key string, value *bool) {
	if b, ok := s.values.Bool(key); ok {
		*value = b
	}
}
