package transcode

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// value is a field and the text that it was given by path or query.
type value struct {
	name  string // as in the request, for messages
	field fieldPath
	text  string
}

// fromText reports whether a message's JSON form is a string, so that a path or query can
// hold it.
func fromText(m protoreflect.MessageDescriptor) bool {
	switch m.FullName() {
	case "google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.FieldMask", "google.protobuf.StringValue",
		"google.protobuf.BytesValue", "google.protobuf.BoolValue", "google.protobuf.Int32Value", "google.protobuf.Int64Value",
		"google.protobuf.UInt32Value", "google.protobuf.UInt64Value", "google.protobuf.FloatValue", "google.protobuf.DoubleValue":
		return true
	}
	return false
}

// set puts the value into m. A repeated field gets one more item.
func (v *value) set(m protoreflect.Message) error {
	for _, field := range v.field[:len(v.field)-1] {
		m = m.Mutable(field).Message()
	}
	field := v.field[len(v.field)-1]
	if field.IsMap() {
		return fmt.Errorf("%s: a map cannot be written so", v.name)
	}
	var fresh protoreflect.Value
	if field.IsList() {
		fresh = m.Mutable(field).List().NewElement()
	} else {
		fresh = m.NewField(field)
	}
	read, err := scan(field, fresh, v.text)
	if err != nil {
		return fmt.Errorf("%s: %w", v.name, err)
	}
	if field.IsList() {
		m.Mutable(field).List().Append(read)
	} else {
		m.Set(field, read)
	}
	return nil
}

// same reports whether the field of m holds the value already, or nothing.
func (v *value) same(m protoreflect.Message) bool {
	for _, field := range v.field[:len(v.field)-1] {
		if !m.Has(field) {
			return true
		}
		m = m.Get(field).Message()
	}
	field := v.field[len(v.field)-1]
	if !m.Has(field) || field.IsList() {
		return true
	}
	read, err := scan(field, m.NewField(field), v.text)
	return err == nil && read.Equal(m.Get(field))
}

var errBase64 = errors.New("is no base64")

// scan reads the text of a single value.
func scan(field protoreflect.FieldDescriptor, fresh protoreflect.Value, text string) (protoreflect.Value, error) {
	fail := func(what string) (protoreflect.Value, error) {
		return protoreflect.Value{}, fmt.Errorf("%q is no %s", clip(text), what)
	}
	switch field.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(strings.ToValidUTF8(text, "\uFFFD")), nil
	case protoreflect.BytesKind:
		p, err := decodeBase64(text)
		return protoreflect.ValueOfBytes(p), err
	case protoreflect.BoolKind:
		switch text {
		case "true", "false":
			return protoreflect.ValueOfBool(text == "true"), nil
		}
		return fail("bool")
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return fail("int32")
		}
		return protoreflect.ValueOfInt32(int32(n)), nil
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fail("int64")
		}
		return protoreflect.ValueOfInt64(n), nil
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return fail("uint32")
		}
		return protoreflect.ValueOfUint32(uint32(n)), nil
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return fail("uint64")
		}
		return protoreflect.ValueOfUint64(n), nil
	case protoreflect.FloatKind:
		n, ok := number(text, 32)
		if !ok {
			return fail("number")
		}
		return protoreflect.ValueOfFloat32(float32(n)), nil
	case protoreflect.DoubleKind:
		n, ok := number(text, 64)
		if !ok {
			return fail("number")
		}
		return protoreflect.ValueOfFloat64(n), nil
	case protoreflect.EnumKind:
		if v := field.Enum().Values().ByName(protoreflect.Name(text)); v != nil {
			return protoreflect.ValueOfEnum(v.Number()), nil
		}
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return fail(string(field.Enum().FullName()))
		}
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(n)), nil
	}
	if !fromText(field.Message()) {
		return protoreflect.Value{}, fmt.Errorf("a message (%s) cannot be written so", field.Message().FullName())
	}
	// As in JSON; numbers and bools may stand in quotes there only in part.
	form := text
	if name := field.Message().FullName(); name != "google.protobuf.BoolValue" {
		quoted, err := json.Marshal(text)
		if err != nil {
			return protoreflect.Value{}, err
		}
		form = string(quoted)
	}
	if err := protojson.Unmarshal([]byte(form), fresh.Message().Interface()); err != nil {
		return fail(string(field.Message().FullName()))
	}
	return fresh, nil
}

func number(text string, bits int) (float64, bool) {
	switch text {
	case "NaN":
		return math.NaN(), true
	case "Infinity":
		return math.Inf(1), true
	case "-Infinity":
		return math.Inf(-1), true
	}
	if strings.ContainsAny(text, "xXpP_iInN") { // what Go reads and JSON does not
		return 0, false
	}
	n, err := strconv.ParseFloat(text, bits)
	return n, err == nil
}

// decodeBase64 takes both alphabets of RFC 4648, with and without padding.
func decodeBase64(text string) ([]byte, error) {
	encoding := base64.RawStdEncoding
	if strings.ContainsAny(text, "-_") {
		encoding = base64.RawURLEncoding
	}
	p, err := encoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		return nil, errBase64
	}
	return p, nil
}

// clip shortens what is repeated in a message.
func clip(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if runes := []rune(text); len(runes) > 40 {
		return string(runes[:40]) + "..."
	}
	return text
}
