package snapshot

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"longmen/gateway/resource"
)

// longest bounds every duration: timers beyond it are surely a slip of the unit.
const longest = 366 * 24 * time.Hour

// only refuses every field of m that is set and not named in understood: what
// is not understood is never ignored. Each function that reads a message
// begins with it.
func (c *compiler) only(at resource.Path, m proto.Message, understood ...string) {
	r := m.ProtoReflect()
	if !r.IsValid() {
		return
	}
	fields := r.Descriptor().Fields()
	for i := range fields.Len() {
		if field := fields.Get(i); r.Has(field) && !slices.Contains(understood, string(field.Name())) {
			c.fail(at, "%s.%s is not supported by this version yet", r.Descriptor().Name(), field.Name())
		}
	}
	if len(r.GetUnknown()) > 0 {
		c.fail(at, "%s has a field (number %d) that this version does not know", r.Descriptor().Name(), firstUnknown(r.GetUnknown()))
	}
}

// firstUnknown is the number of the first field in raw (wire format).
func firstUnknown(raw []byte) int {
	var tag uint64
	for shift, i := 0, 0; i < len(raw) && shift < 64; shift, i = shift+7, i+1 {
		tag |= uint64(raw[i]&0x7f) << shift
		if raw[i] < 0x80 {
			break
		}
	}
	return int(tag >> 3)
}

// unpack decodes packed into m, whose type it must have.
func (c *compiler) unpack(at resource.Path, packed *anypb.Any, m proto.Message) bool {
	if !packed.MessageIs(m) {
		c.fail(at, "%s is not supported by this version yet", typeName(packed))
		return false
	}
	if err := packed.UnmarshalTo(m); err != nil {
		c.fail(at, "%s cannot be decoded: %v", typeName(packed), err)
		return false
	}
	return true
}

// typeName is a packed message's type for people.
func typeName(packed *anypb.Any) string {
	if name := packed.MessageName(); name != "" {
		return string(name)
	}
	return fmt.Sprintf("a message of type %q", packed.GetTypeUrl())
}

// duration reads d, which must not be negative; fallback stands for unset.
func (c *compiler) duration(at resource.Path, d *durationpb.Duration, fallback time.Duration) time.Duration {
	if d == nil {
		return fallback
	}
	if err := d.CheckValid(); err != nil {
		c.fail(at, "%v is no duration", d)
		return fallback
	}
	return c.bounded(at, d.AsDuration(), fallback)
}

func (c *compiler) bounded(at resource.Path, d, fallback time.Duration) time.Duration {
	switch {
	case d < 0:
		c.fail(at, "%v: a duration must not be negative", d)
		return fallback
	case d > longest:
		c.fail(at, "%v is longer than a year", d)
		return fallback
	}
	return d
}

// positive is duration for what cannot be switched off by 0.
func (c *compiler) positive(at resource.Path, d *durationpb.Duration, fallback time.Duration) time.Duration {
	value := c.duration(at, d, fallback)
	if d != nil && value == 0 {
		c.fail(at, "0s: must be more than nothing")
		return fallback
	}
	return value
}

// number reads n, which must lie in [low, high]; fallback stands for unset.
func (c *compiler) number(at resource.Path, n *wrapperspb.UInt32Value, low, high uint32, fallback int) int {
	if n == nil {
		return fallback
	}
	if v := n.GetValue(); v < low || v > high {
		c.fail(at, "%d: must be from %d to %d", v, low, high)
		return fallback
	}
	return int(n.GetValue())
}

// join makes the path of a part.
func join(at resource.Path, part string) resource.Path {
	return at + "." + resource.Path(part)
}

// item makes the path of an element of a list.
func item(at resource.Path, i int) resource.Path {
	return at + resource.Path("["+strconv.Itoa(i)+"]")
}
