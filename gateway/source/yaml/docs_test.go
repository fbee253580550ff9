package yaml

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	kinds "github.com/santhosh-tekuri/jsonschema/v6/kind"
	yaml "go.yaml.in/yaml/v4"
)

const (
	referenceFile = "../../../docs/gateway-yaml.md"
	schemaFile    = "../../../docs/gateway.schema.json"
	beginMark     = "<!-- The tables from here on are written by: go test ./gateway/source/yaml -update -->\n"
)

// The reference's tables are those that the decoder reads by.
func TestReference(t *testing.T) {
	page := read(t, referenceFile)
	head, _, found := bytes.Cut(page, []byte(beginMark))
	if !found {
		t.Fatalf("%s lacks its mark", referenceFile)
	}
	var out bytes.Buffer
	out.Write(head)
	out.WriteString(beginMark)
	for _, o := range objects {
		fmt.Fprintf(&out, "\n## %s\n\n%s\n\n", o.name, o.meaning)
		out.WriteString("| Key | Type | Default | Meaning | xDS | Example |\n| --- | --- | --- | --- | --- | --- |\n")
		var later []string
		for _, k := range o.keys {
			if k.later {
				later = append(later, "`"+k.name+"`")
				continue
			}
			fmt.Fprintf(&out, "| `%s` | %s | %s | %s | %s | %s |\n", k.name, k.kind.text, code(k.standard), k.meaning, k.twin, example(k.example))
		}
		if len(later) > 0 {
			fmt.Fprintf(&out, "\nKnown, but not supported by this version yet: %s.\n", strings.Join(later, ", "))
		}
	}
	out.WriteString("\n## What xDS has no field for\n\nThese keys travel in `metadata.typed_filter_metadata.longmen` of their Listener, Route or Cluster, as an\n`xds.type.v3.TypedStruct`; those of TLS in `common_tls_context.custom_handshaker` with the name `longmen`, those of `sm2` and `acme` in\n`private_key_provider` of the TlsCertificate. A control plane can send them too. Unknown keys there are refused.\n\n")
	for _, o := range objects {
		for _, k := range o.keys {
			if strings.Contains(k.twin, "extension `") {
				_, name, _ := strings.Cut(k.twin, "extension `")
				name, _, _ = strings.Cut(name, "`")
				fmt.Fprintf(&out, "- %s, `%s`: `%s`\n", o.name, k.name, name)
			}
		}
	}
	expect(t, referenceFile, out.Bytes())
}

func example(text string) string {
	if text == "" {
		return ""
	}
	return "`" + strings.ReplaceAll(text, "|", "\\|") + "`"
}

// code marks what could be written; a default in words stands as it is.
func code(text string) string {
	if text == "" || strings.Contains(text, " ") && text[0] != '[' && text[0] != '{' {
		return text
	}
	return "`" + strings.ReplaceAll(text, "|", "\\|") + "`"
}

// Single values, as the decoder's readers take them.
const valueSchemas = `
"text": {"type": ["string", "number", "boolean"]},
"duration": {"type": "string", "pattern": "^([0-9]+(\\.[0-9]*)?(ns|us|µs|ms|s|m|h))+$"},
"bytes": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+ *([kKmMgG]([iI]?[bB])?|[bB])?$"}]},
"percent": {"anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": 100}, {"type": "string", "pattern": "^[0-9.]+ *%$"}]}`

// schemaText writes the JSON Schema of a file.
func schemaText(t *testing.T, objects []object) []byte {
	t.Helper()
	definitions := []string{valueSchemas[1:]}
	for _, o := range objects[1:] {
		definitions = append(definitions, fmt.Sprintf("%q: %s", anchor(o.name), objectSchema(t, o)))
	}
	top := objectSchema(t, objects[0])
	text := `{"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "gateway.yaml",` + top[1:len(top)-1] +
		`, "$defs": {` + strings.Join(definitions, ",") + `}}`
	var out bytes.Buffer
	if err := json.Indent(&out, []byte(text), "", " "); err != nil {
		t.Fatal(err)
	}
	out.WriteByte('\n')
	return out.Bytes()
}

func objectSchema(t *testing.T, o object) string {
	t.Helper()
	var properties, required []string
	for _, k := range o.keys {
		if k.later {
			continue
		}
		description, err := json.Marshal(k.meaning)
		if err != nil {
			t.Fatal(err)
		}
		properties = append(properties, fmt.Sprintf(`%q: {"description": %s, %s`, k.name, description, k.kind.schema[1:]))
		if strings.HasSuffix(k.meaning, "Required.") {
			required = append(required, fmt.Sprintf("%q", k.name))
		}
	}
	text := `{"type": "object", "additionalProperties": false, "properties": {` + strings.Join(properties, ",") + "}"
	if len(required) > 0 {
		text += `, "required": [` + strings.Join(required, ",") + "]"
	}
	return text + "}"
}

func TestSchemaFile(t *testing.T) { expect(t, schemaFile, schemaText(t, objects)) }

func compiler(t *testing.T, text []byte) *jsonschema.Compiler {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("gateway.schema.json", document); err != nil {
		t.Fatal(err)
	}
	return c
}

// instance reads YAML as a schema sees it.
func instance(t *testing.T, data []byte) any {
	t.Helper()
	var loaded any
	if err := yaml.Unmarshal(data, &loaded); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(loaded)
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func TestSchemaTakesGoldenFiles(t *testing.T) {
	schema, err := compiler(t, read(t, schemaFile)).Compile("gateway.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files(t, "testdata/golden/*.yaml") {
		if err := schema.Validate(instance(t, read(t, name))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"keys", "values", "rules", "clusters", "process", "list"} {
		data := read(t, filepath.Join("testdata/broken", name+".yaml"))
		if name == "keys" {
			data = []byte("listners: {}\n") // the rest is no JSON
		}
		if schema.Validate(instance(t, data)) == nil {
			t.Errorf("the schema takes %s.yaml, which is broken", name)
		}
	}
}

// Every key of every table has all that the reference needs, and an example that
// its schema takes.
func TestKeysAreComplete(t *testing.T) {
	c := compiler(t, read(t, schemaFile))
	for _, o := range objects {
		names := map[string]bool{}
		for i, k := range o.keys {
			at := o.name + "." + k.name
			if names[k.name] {
				t.Errorf("%s stands twice", at)
			}
			names[k.name] = true
			if k.later {
				continue
			}
			if k.meaning == "" || k.kind.text == "" || k.twin == "" && !strings.HasPrefix(o.name, "overload") && !slices.Contains([]string{"file", "admin", "log", "drain", "process limits", "loop guard", "own locality"}, o.name) {
				t.Errorf("%s lacks a type, meaning or twin", at)
			}
			if k.example == "" {
				if o.name != "file" {
					t.Errorf("%s lacks an example", at)
				}
				continue
			}
			pointer := fmt.Sprintf("gateway.schema.json#/$defs/%s/properties/%s", anchor(o.name), k.name)
			if o.name == "file" {
				pointer = "gateway.schema.json#/properties/" + k.name
			}
			schema, err := c.Compile(pointer)
			if err != nil {
				t.Errorf("%s (%d): %v", at, i, err)
				continue
			}
			if err := schema.Validate(instance(t, []byte(k.example))); err != nil {
				t.Errorf("the example of %s: %v", at, err)
			}
		}
	}
}

// Every key of every table is written in some golden file: a schema in which an
// object has no keys refuses those that are.
func TestGoldenFilesWriteEveryKey(t *testing.T) {
	var instances []any
	for _, name := range files(t, "testdata/golden/*.yaml") {
		instances = append(instances, instance(t, read(t, name)))
	}
	for i, o := range objects {
		without := slices.Clone(objects)
		without[i].keys = nil
		schema, err := compiler(t, schemaText(t, without)).Compile("gateway.schema.json")
		if err != nil {
			t.Fatal(err)
		}
		place := "#/$defs/" + anchor(o.name)
		if i == 0 {
			place = "#"
		}
		written := map[string]bool{}
		for _, v := range instances {
			var refusal *jsonschema.ValidationError
			if errors.As(schema.Validate(v), &refusal) {
				extraKeys(refusal, place, written)
			}
		}
		for _, k := range o.keys {
			if !k.later && !written[k.name] {
				t.Errorf("no golden file writes %s of %s", k.name, o.name)
			}
		}
	}
}

// extraKeys adds the keys that the part of a schema at a place refused.
func extraKeys(e *jsonschema.ValidationError, place string, found map[string]bool) {
	if extra, ok := e.ErrorKind.(*kinds.AdditionalProperties); ok && strings.HasSuffix(e.SchemaURL, place) {
		for _, name := range extra.Properties {
			found[name] = true
		}
	}
	for _, cause := range e.Causes {
		extraKeys(cause, place, found)
	}
}
