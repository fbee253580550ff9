package yaml

import "strings"

// The tables of keys are the one list of the vocabulary: the decoder refuses
// what they lack, and the reference in docs/ and the JSON Schema are made from
// them.

// key is one key of an object.
type key struct {
	name     string
	kind     kind
	standard string // the default, as it would be written; "" when there is none
	meaning  string // with unit and bounds
	twin     string // the xDS field, or the key of Longmen's extension
	example  string // a value
	later    bool   // in the vocabulary, but not built yet
}

// object is a map with fixed keys.
type object struct {
	name    string // as the schema and the reference call it
	meaning string
	keys    []key
}

// key finds a key; nil if there is none of that name.
func (o object) key(name string) *key {
	for i := range o.keys {
		if o.keys[i].name == name {
			return &o.keys[i]
		}
	}
	return nil
}

// names are the keys that may be written.
func (o object) names() []string {
	var names []string
	for _, k := range o.keys {
		if !k.later {
			names = append(names, k.name)
		}
	}
	return names
}

// notYet lists keys that a later version builds.
func notYet(names ...string) []key {
	var keys []key
	for _, name := range names {
		keys = append(keys, key{name: name, later: true})
	}
	return keys
}

// kind is the type of a value: its name for people, and its JSON Schema.
type kind struct {
	text   string
	schema string
}

// The kinds of single values.
var (
	aString   = kind{"string", `{"$ref":"#/$defs/text"}`}
	aBool     = kind{"bool", `{"type":"boolean"}`}
	aDuration = kind{"duration", `{"$ref":"#/$defs/duration"}`}
	aSize     = kind{"bytes", `{"$ref":"#/$defs/bytes"}`}
	aPercent  = kind{"percent", `{"$ref":"#/$defs/percent"}`}
	aRegex    = kind{"regex (RE2)", `{"$ref":"#/$defs/text"}`}
	aCIDR     = kind{"CIDR", `{"$ref":"#/$defs/text"}`}
	aWhole    = kind{"number", `{"type":"integer","minimum":0}`}
	onlyTrue  = kind{"true", `{"const":true}`}
)

func one(words ...string) kind {
	return kind{strings.Join(words, " \\| "), `{"enum":["` + strings.Join(words, `","`) + `"]}`}
}

func listOf(k kind) kind {
	return kind{"list of " + k.text, `{"type":"array","items":` + k.schema + `}`}
}

func oneOrMore(k kind) kind {
	return either(k, listOf(k))
}

func mapOf(k kind) kind {
	return kind{"map of " + k.text, `{"type":"object","additionalProperties":` + k.schema + `}`}
}

func either(kinds ...kind) kind {
	var texts, schemas []string
	for _, k := range kinds {
		texts = append(texts, k.text)
		schemas = append(schemas, k.schema)
	}
	return kind{strings.Join(texts, " or "), `{"anyOf":[` + strings.Join(schemas, ",") + `]}`}
}

// ref is an object of another table.
func ref(o string) kind {
	return kind{"[" + o + "](#" + anchor(o) + ")", `{"$ref":"#/$defs/` + anchor(o) + `"}`}
}

// anchor is an object's name in links and in the schema.
func anchor(o string) string { return strings.ReplaceAll(o, " ", "-") }
