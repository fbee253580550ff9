package filter

import "google.golang.org/protobuf/proto"

// Kind is one kind of filter: what it is called, how it is written, and how its
// settings become a Filter. plugins.go lists them all.
type Kind struct {
	// Name is what gateway.yaml calls it; Meaning says in a line what it does, and
	// Example is a value of its settings.
	Name, Meaning, Example string
	// XDS is its name in http_filters and typed_per_filter_config.
	XDS string
	// Messages are the types of settings that it understands, on a listener and on
	// hosts and rules alike. The first is what gateway.yaml becomes.
	Messages []proto.Message
	// Keys are its settings in gateway.yaml.
	Keys []Key
	// Message turns them into the first of Messages. Their types are as Keys says;
	// whether they make sense together, Compile finds out.
	Message func(Values) proto.Message
	// Values is the way back. What it cannot say it leaves out: the result is
	// compared.
	Values func(proto.Message) Values
	// Files are the files that settings name, so that they can be watched; nil where
	// none can be named.
	Files func(proto.Message) []string
	// Compile makes a filter of settings, and reports what is wrong with them. Nil
	// is a filter that has nothing to do. Equal settings are compiled once, and the
	// Filter stays the same from snapshot to snapshot while they are equal.
	Compile func(Scope, proto.Message) Filter
}

// Scope is where settings that are compiled stand.
type Scope interface {
	// Fail reports what is wrong with a part of the settings, which is called as
	// gateway.yaml does ("allow_origins[1]"); "" is all of them. hint is what was
	// probably meant, or "".
	Fail(part, hint, format string, args ...any)
	// Only refuses every field of a message that is set and not among those that
	// are understood: what is not understood is never ignored.
	Only(m proto.Message, understood ...string)
	// File reads a file that a part names. The file belongs to the configuration:
	// when its content changes, the filter is compiled anew.
	File(part, name string) ([]byte, bool)
}

// Values are settings as gateway.yaml has them: a string, bool, int64 (of numbers
// and byte counts), time.Duration, []any or Values for each key that is written.
type Values map[string]any

// Text gives a string, "" when the key is not written.
func (v Values) Text(key string) string {
	s, _ := v[key].(string)
	return s
}

// Flag gives a bool, and whether it is written.
func (v Values) Flag(key string) (on, written bool) {
	on, written = v[key].(bool)
	return on, written
}

// Number gives a number, and whether it is written.
func (v Values) Number(key string) (n int64, written bool) {
	n, written = v[key].(int64)
	return n, written
}

// List gives the items of a list, of one too that is written without brackets.
func (v Values) List(key string) []any {
	switch held := v[key].(type) {
	case nil:
		return nil
	case []any:
		return held
	default:
		return []any{held}
	}
}

// Texts gives a list of strings.
func (v Values) Texts(key string) []string {
	var out []string
	for _, item := range v.List(key) {
		if s, ok := item.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// Put sets a key, but for what says nothing: "", nil and an empty list or map.
func (v Values) Put(key string, value any) {
	switch held := value.(type) {
	case nil:
		return
	case string:
		if held == "" {
			return
		}
	case []string:
		if len(held) == 0 {
			return
		}
		items := make([]any, len(held))
		for i, s := range held {
			items[i] = s
		}
		value = items
	case []any:
		if len(held) == 0 {
			return
		}
	case Values:
		if len(held) == 0 {
			return
		}
	}
	v[key] = value
}
