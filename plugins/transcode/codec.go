package transcode

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"longmen/gateway/worker"
)

// heavy is how large a message may be, in bytes, to be converted on the loop.
const heavy = 64 << 10

// apart runs f, away from the loop when it works on much.
func apart(co *worker.Coroutine, size int, f func() error) error {
	if size <= heavy {
		return f()
	}
	return co.Await(f)
}

// call is what a request says about the message that it becomes.
type call struct {
	config      *transcoder
	binding     *binding
	path        []value // from the path's variables, which nothing overrides
	query       []value
	contentType string // of a google.api.HttpBody
}

// message makes the message, framed, of a part of the request's content.
func (c *call) message(content []byte) ([]byte, error) {
	m := dynamicpb.NewMessage(c.binding.method.Input())
	for i := range c.query {
		if err := c.query[i].set(m); err != nil {
			return nil, err
		}
	}
	if c.binding.hasBody {
		if err := c.content(m, content); err != nil {
			return nil, err
		}
	}
	for i := range c.path {
		if c.config.rejectCollisions && !c.path[i].same(m) {
			return nil, fmt.Errorf("%s: the body says something else than the path", c.path[i].name)
		}
		if err := c.path[i].set(m); err != nil {
			return nil, err
		}
	}
	out, err := proto.MarshalOptions{}.MarshalAppend(make([]byte, 5, 5+proto.Size(m)), m)
	if err != nil {
		return nil, err
	}
	if len(out)-5 > c.config.maxRequest {
		return nil, errTooLong
	}
	return frame(out), nil
}

// content puts the request's content into m.
func (c *call) content(m *dynamicpb.Message, content []byte) error {
	field := c.binding.body
	switch {
	case c.binding.raw:
		target := protoreflect.Message(m)
		if field != nil {
			target = m.Mutable(field).Message()
		}
		fields := target.Descriptor().Fields()
		target.Set(fields.ByName("content_type"), protoreflect.ValueOfString(strings.ToValidUTF8(c.contentType, "\uFFFD")))
		target.Set(fields.ByName("data"), protoreflect.ValueOfBytes(content))
		return nil
	case len(bytes.TrimSpace(content)) == 0:
		return nil
	case field != nil:
		// protojson reads messages only: the field, within its message.
		wrapped := append(append([]byte(`{"`+field.JSONName()+`":`), content...), '}')
		if !json.Valid(content) {
			return errors.New("the body is no JSON value") // or it could end the message here
		}
		content = wrapped
	}
	read := dynamicpb.NewMessage(c.binding.method.Input())
	if err := (protojson.UnmarshalOptions{Resolver: c.config.types}).Unmarshal(content, read); err != nil {
		return errors.New("the body: " + plain(err))
	}
	// What the body says comes in place of what the query said.
	read.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.Message() == nil || f.IsList() || f.IsMap() {
			m.Clear(f)
		}
		return true
	})
	proto.Merge(m, read)
	return nil
}

// plain is the text of an error of protojson, which varies its white space.
func plain(err error) string {
	text := strings.ReplaceAll(err.Error(), "\u00a0", " ")
	return strings.TrimPrefix(text, "proto: ")
}

// answerJSON is the JSON of an answer's message.
func (t *transcoder) answerJSON(b *binding, raw []byte) ([]byte, error) {
	m := dynamicpb.NewMessage(b.method.Output())
	if err := (proto.UnmarshalOptions{Resolver: t.types}).Unmarshal(raw, m); err != nil {
		return nil, errors.New("the server's message cannot be decoded")
	}
	if b.response == nil {
		return t.json(m, t.print)
	}
	print := t.print
	if !m.Has(b.response) {
		print.EmitUnpopulated = true
	}
	only := m.New()
	if m.Has(b.response) {
		only.Set(b.response, m.Get(b.response))
	}
	whole, err := t.json(only.Interface(), print)
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(whole, &fields); err != nil {
		return nil, err
	}
	name := b.response.JSONName()
	if t.print.UseProtoNames {
		name = b.response.TextName()
	}
	if value := fields[name]; value != nil {
		return value, nil
	}
	return []byte("null"), nil
}

// json writes a message. protojson varies its white space, on purpose.
func (t *transcoder) json(m proto.Message, options protojson.MarshalOptions) ([]byte, error) {
	text, err := options.Marshal(m)
	if err != nil {
		return nil, errors.New(plain(err))
	}
	var out bytes.Buffer
	out.Grow(len(text))
	if t.whitespace {
		err = json.Indent(&out, text, "", " ")
	} else {
		err = json.Compact(&out, text)
	}
	return out.Bytes(), err
}

// httpBody gives the content type and data of an answer that is a google.api.HttpBody.
func (b *binding) httpBody(raw []byte) (contentType string, data []byte, err error) {
	var m protoreflect.Message = dynamicpb.NewMessage(b.method.Output())
	if err := proto.Unmarshal(raw, m.Interface()); err != nil {
		return "", nil, errors.New("the server's message cannot be decoded")
	}
	if b.response != nil {
		m = m.Get(b.response).Message()
	}
	fields := m.Descriptor().Fields()
	return m.Get(fields.ByName("content_type")).String(), m.Get(fields.ByName("data")).Bytes(), nil
}
