package transcode

import (
	"fmt"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// binding is one way to call a method by HTTP: a google.api.HttpRule, or one of its
// additional_bindings.
type binding struct {
	method   protoreflect.MethodDescriptor
	path     string // of the call: "/pkg.Service/Method"
	template *template
	fields   []fieldPath // of the template's variables

	hasBody  bool
	body     protoreflect.FieldDescriptor // what the request's content is; nil with hasBody: the whole message
	raw      bool                         // the content is a google.api.HttpBody
	response protoreflect.FieldDescriptor // what the answer's content is; nil: the whole message
	rawReply bool
}

// fieldPath is a field of a message, or of messages within: all but the last are
// messages.
type fieldPath []protoreflect.FieldDescriptor

const httpBody = "google.api.HttpBody"

// bindings are the ways to call a method.
func bindings(m protoreflect.MethodDescriptor, auto bool, add func(method string, b *binding) error) error {
	rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
	if rule == nil || rule.GetPattern() == nil {
		if !auto {
			return nil
		}
		rule = &annotations.HttpRule{Pattern: &annotations.HttpRule_Post{Post: callPath(m)}, Body: "*"}
	}
	for _, r := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
		method, path := pattern(r)
		if path == "" {
			return fmt.Errorf("%s: a google.api.http binding has no path", m.FullName())
		}
		b, err := newBinding(m, r, path)
		if err == nil {
			err = add(method, b)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", m.FullName(), err)
		}
	}
	return nil
}

func callPath(m protoreflect.MethodDescriptor) string {
	return "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
}

// pattern is the HTTP method and path of a rule.
func pattern(r *annotations.HttpRule) (method, path string) {
	switch p := r.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return "GET", p.Get
	case *annotations.HttpRule_Put:
		return "PUT", p.Put
	case *annotations.HttpRule_Post:
		return "POST", p.Post
	case *annotations.HttpRule_Delete:
		return "DELETE", p.Delete
	case *annotations.HttpRule_Patch:
		return "PATCH", p.Patch
	case *annotations.HttpRule_Custom:
		return p.Custom.GetKind(), p.Custom.GetPath()
	}
	return "", ""
}

func newBinding(m protoreflect.MethodDescriptor, r *annotations.HttpRule, path string) (*binding, error) {
	t, err := parseTemplate(path)
	if err != nil {
		return nil, err
	}
	b := &binding{method: m, path: callPath(m), template: t, hasBody: r.GetBody() != ""}
	for _, v := range t.variables {
		field, err := findField(m.Input(), v.field)
		if err != nil {
			return nil, err
		}
		if last := field[len(field)-1]; last.IsList() || last.IsMap() || last.Message() != nil && !fromText(last.Message()) {
			return nil, fmt.Errorf("variable %q of the path is no single value", v.field)
		}
		b.fields = append(b.fields, field)
	}
	content := m.Input()
	if name := r.GetBody(); name != "" && name != "*" {
		if b.body, err = topField(m.Input(), name); err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
		content = b.body.Message()
	}
	b.raw = b.hasBody && content != nil && content.FullName() == httpBody && (b.body == nil || !b.body.IsList())
	answer := m.Output()
	if name := r.GetResponseBody(); name != "" && name != "*" {
		if b.response, err = topField(m.Output(), name); err != nil {
			return nil, fmt.Errorf("response_body: %w", err)
		}
		answer = b.response.Message()
	}
	b.rawReply = answer != nil && answer.FullName() == httpBody && (b.response == nil || !b.response.IsList())
	return b, nil
}

func topField(m protoreflect.MessageDescriptor, name string) (protoreflect.FieldDescriptor, error) {
	path, err := findField(m, name)
	if err != nil {
		return nil, err
	}
	if len(path) > 1 {
		return nil, fmt.Errorf("%q must be a field of %s itself", name, m.FullName())
	}
	return path[0], nil
}

// maxFields bounds the depth of a field path.
const maxFields = 16

// findField finds a field by its name in the .proto file or in JSON, with those of
// the messages that it is in before it: "shelf.name".
func findField(m protoreflect.MessageDescriptor, name string) (fieldPath, error) {
	var path fieldPath
	for part := range strings.SplitSeq(name, ".") {
		if n := len(path); n > 0 {
			last := path[n-1]
			if last.Message() == nil || last.IsList() || last.IsMap() {
				return nil, fmt.Errorf("%q: %s is no message", name, last.Name())
			}
			m = last.Message()
		}
		field := m.Fields().ByName(protoreflect.Name(part))
		if field == nil {
			field = m.Fields().ByJSONName(part)
		}
		if field == nil {
			return nil, fmt.Errorf("%q: %s has no field %q", name, m.FullName(), part)
		}
		if path = append(path, field); len(path) > maxFields {
			return nil, fmt.Errorf("a field path has at most %d parts", maxFields)
		}
	}
	return path, nil
}
