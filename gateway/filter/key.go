package filter

// Key is one key of a filter's settings in gateway.yaml. The decoder, the
// reference and the JSON Schema are made from it.
type Key struct {
	Name    string
	Type    Type
	Default string // as it would be written; "" when there is none
	Meaning string // with unit and bounds; it ends with "Required." if the key must be written
	Twin    string // the xDS field
	Example string // a value
}

// Type is what a key's value may be.
type Type struct {
	Form  Form
	Words []string // of a Choice
	Low   int64    // the bounds of Number and Bytes; of Duration in nanoseconds
	High  int64
	Of    []Type // the items of a List (one), the alternatives of an Either
	Name  string // of an Object, in the reference: unique among all
	Keys  []Key  // of an Object
}

// Form is the form of a value.
type Form uint8

// The forms.
const (
	Text      Form = iota // a string
	Flag                  // true or false
	Number                // a whole number
	Bytes                 // a count of bytes such as 64KiB
	Duration              // a time such as 1m30s
	Choice                // one of Words
	Pattern               // a regular expression (RE2)
	File                  // the name of a file, relative to the folder of gateway.yaml
	List                  // a list
	OneOrMore             // a list, or one item in its place
	Object                // a map with fixed keys
	Either                // one of several, told apart by their shape: single value, list, map
)

// ListOf is a list of such items.
func ListOf(t Type) Type { return Type{Form: List, Of: []Type{t}} }

// OneOrMoreOf is a list of such items, or one of them.
func OneOrMoreOf(t Type) Type { return Type{Form: OneOrMore, Of: []Type{t}} }

// OneOf is one of some words.
func OneOf(words ...string) Type { return Type{Form: Choice, Words: words} }
