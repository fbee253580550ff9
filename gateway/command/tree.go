package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	yamlv4 "go.yaml.in/yaml/v4"
)

// parseTree reads YAML into maps, lists and scalars.
func parseTree(text []byte) (map[string]any, error) {
	tree := map[string]any{}
	err := yamlv4.Unmarshal(text, &tree)
	return tree, err
}

// A treeChange is one difference between two trees. Before or After is nil when
// the part was not there.
type treeChange struct {
	path          string // "bind", "rules[0].to.cart"
	before, after any
}

// compareTrees lists the differences below path, in order.
func compareTrees(path string, before, after any) []treeChange {
	if reflect.DeepEqual(before, after) {
		return nil
	}
	switch b := before.(type) {
	case map[string]any:
		if a, ok := after.(map[string]any); ok {
			return compareMaps(path, b, a)
		}
	case []any:
		if a, ok := after.([]any); ok {
			return compareLists(path, b, a)
		}
	}
	return []treeChange{{path, before, after}}
}

func compareMaps(path string, before, after map[string]any) []treeChange {
	keys := slices.Collect(maps.Keys(before))
	for key := range after {
		if _, both := before[key]; !both {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	var changes []treeChange
	for _, key := range keys {
		part := key
		if path != "" {
			part = path + "." + key
		}
		b, was := before[key]
		a, is := after[key]
		if was && is {
			changes = append(changes, compareTrees(part, b, a)...)
		} else {
			changes = append(changes, treeChange{part, b, a})
		}
	}
	return changes
}

// compareLists leaves out what is equal at both ends, so that one element more
// is one change, and compares the rest element by element.
func compareLists(path string, before, after []any) []treeChange {
	start := 0
	for start < len(before) && start < len(after) && reflect.DeepEqual(before[start], after[start]) {
		start++
	}
	b, a := len(before), len(after)
	for b > start && a > start && reflect.DeepEqual(before[b-1], after[a-1]) {
		b, a = b-1, a-1
	}
	var changes []treeChange
	for i := start; i < max(b, a); i++ {
		part := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case i >= b:
			changes = append(changes, treeChange{part, nil, after[i]})
		case i >= a:
			changes = append(changes, treeChange{part, before[i], nil})
		default:
			changes = append(changes, compareTrees(part, before[i], after[i])...)
		}
	}
	return changes
}

// maxValue bounds what is shown of a value, in characters.
const maxValue = 100

// showValue writes a value on one line.
func showValue(value any) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Sprint(value)
	}
	text := []rune(strings.TrimSpace(out.String()))
	if len(text) > maxValue {
		return string(text[:maxValue]) + " ..."
	}
	return string(text)
}
