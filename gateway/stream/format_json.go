package stream

import (
	"errors"
	"fmt"
)

// JSONField is one member of a JSON format's object.
type JSONField struct {
	Name     string
	Template string // as ParseFormat takes it
}

// NewJSONFormat compiles a format that gives one JSON object, with its members
// in the given order. The value of a field whose template is one operator and
// nothing else is a number when the operator is one (RESPONSE_CODE), and null
// when the value is absent; every other value is a string, with "-" for what is
// absent in it.
func NewJSONFormat(fields []JSONField) (*Format, error) {
	if len(fields) == 0 {
		return nil, errors.New("no fields")
	}
	f := &Format{fields: make([]jsonField, 0, len(fields))}
	seen := make(map[string]bool, len(fields))
	for i, field := range fields {
		if field.Name == "" {
			return nil, fmt.Errorf("field %d has no name", i+1)
		}
		if seen[field.Name] {
			return nil, fmt.Errorf("field %q stands twice", field.Name)
		}
		seen[field.Name] = true
		value, err := ParseFormat(field.Template)
		if err != nil {
			return nil, fmt.Errorf("field %q: %w", field.Name, err)
		}
		key := []byte{'{', '"'}
		if i > 0 {
			key[0] = ','
		}
		key = append(escapeJSON(append(key, field.Name...), 2), '"', ':')
		f.fields = append(f.fields, jsonField{string(key), value.pieces})
	}
	return f, nil
}

func (f *Format) appendJSON(dst []byte, s *Stream, resp *Response) []byte {
	for i := range f.fields {
		field := &f.fields[i]
		dst = append(dst, field.key...)
		if len(field.pieces) == 1 {
			dst = field.pieces[0].appendJSON(dst, s, resp)
			continue
		}
		dst = append(dst, '"')
		start := len(dst)
		for j := range field.pieces {
			var ok bool
			if dst, ok = field.pieces[j].append(dst, s, resp); !ok {
				dst = append(dst, '-')
			}
		}
		dst = append(escapeJSON(dst, start), '"')
	}
	return append(dst, '}')
}

// appendJSON appends the value of a piece that stands alone.
func (p *piece) appendJSON(dst []byte, s *Stream, resp *Response) []byte {
	start := len(dst)
	var ok bool
	if operators[p.op].number {
		if dst, ok = p.append(dst, s, resp); ok {
			return dst
		}
		return append(dst, "null"...)
	}
	if dst, ok = p.append(append(dst, '"'), s, resp); !ok {
		return append(dst[:start], "null"...)
	}
	return append(escapeJSON(dst, start+1), '"')
}
