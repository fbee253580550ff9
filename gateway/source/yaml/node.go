package yaml

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	yaml "go.yaml.in/yaml/v4"

	"longmen/gateway/resource"
)

// decoder holds what one run over one file needs.
type decoder struct {
	file     string
	data     []byte
	lines    []string // of data, once they are needed
	origins  *resource.Origins
	problems resource.Problems
	aliased  int // nodes still allowed to be read by way of aliases
	dropped  bool
	refused  map[resource.Path]bool // parts that are written, but wrongly, or missing
	pairs    map[string]int         // by the name of each secret: how many certificates it lists; 0: it is no list
}

// The bounds of a file. They are far above what a person or a generator needs
// and keep the memory and time of a hostile file in proportion to its size.
const (
	maxFile     = 64 << 20 // bytes
	maxProblems = 1000     // kept of one file
	maxAliased  = 100_000  // nodes read by way of aliases
	maxDepth    = 64       // of aliases in aliases and merge keys in merge keys
	maxKey      = 256      // bytes of a key, as every part below it has it in its path
	maxLookup   = 4096     // columns up to which the end of a quoted token is looked up
)

// value is a node and what it is called. Aliases are already followed; key is
// nil for items of lists.
type value struct {
	node *yaml.Node
	key  *yaml.Node
	path resource.Path
}

// scalar tells a single value from a list or map.
func (v value) scalar() bool { return v.node.Kind == yaml.ScalarNode }
func (v value) isMap() bool  { return v.node.Kind == yaml.MappingNode }
func (v value) isList() bool { return v.node.Kind == yaml.SequenceNode }

// isNull tells "key:" with nothing behind it, and "key: null".
func (v value) isNull() bool { return v.scalar() && v.node.ShortTag() == "!!null" }

// part is the path of a key within a part.
func part(at resource.Path, name string) resource.Path {
	if at == "" {
		return resource.Path(name)
	}
	return at + "." + resource.Path(name)
}

// item is the path of an element of a list.
func item(at resource.Path, i int) resource.Path {
	return at + resource.Path("["+strconv.Itoa(i)+"]")
}

// origin is the place and width of a node.
func (d *decoder) origin(n *yaml.Node) resource.Origin {
	return resource.Origin{File: d.file, Line: n.Line, Column: n.Column, Width: d.width(n)}
}

// width counts the characters of a token. The parser keeps only where a token
// starts; the end of a quoted one is looked up in its line.
func (d *decoder) width(n *yaml.Node) int {
	if n.Kind != yaml.ScalarNode {
		return 1
	}
	quote := byte(0)
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		quote = '"'
	case n.Style&yaml.SingleQuotedStyle != 0:
		quote = '\''
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return 1
	}
	if quote == 0 || n.Column > maxLookup {
		first, _, _ := strings.Cut(n.Value, "\n")
		return max(1, utf8.RuneCountInString(first))
	}
	rest := d.after(n)
	for i := 1; i < len(rest); i++ {
		switch {
		case rest[i] == '\\' && quote == '"':
			i++
		case rest[i] == quote && quote == '\'' && i+1 < len(rest) && rest[i+1] == quote:
			i++
		case rest[i] == quote:
			return utf8.RuneCountInString(rest[:i+1])
		}
	}
	return max(1, utf8.RuneCountInString(rest))
}

// after is the rest of the line from the start of a node on.
func (d *decoder) after(n *yaml.Node) string {
	if d.lines == nil {
		d.lines = strings.Split(string(d.data), "\n")
	}
	if n.Line < 1 || n.Line > len(d.lines) {
		return ""
	}
	line := d.lines[n.Line-1]
	for column := 1; column < n.Column && line != ""; column++ {
		_, size := utf8.DecodeRuneInString(line)
		line = line[size:]
	}
	return strings.TrimRight(line, "\r")
}

// at reports a problem at a node, for which the part path is refused.
func (d *decoder) at(n *yaml.Node, path resource.Path, hint, format string, args ...any) {
	d.refused[path] = true
	d.beside(n, path, hint, format, args...)
}

// beside reports a problem within the part path, the rest of which is as good as
// without.
func (d *decoder) beside(n *yaml.Node, path resource.Path, hint, format string, args ...any) {
	if len(d.problems) >= maxProblems {
		d.dropped = true
		return
	}
	origin := d.origin(n)
	d.problems = append(d.problems, resource.Problem{
		Path: path, Origin: origin, Width: origin.Width, Text: fmt.Sprintf(format, args...), Hint: hint,
	})
}

// fail reports a problem with a value.
func (d *decoder) fail(v value, format string, args ...any) {
	d.at(v.node, v.path, "", format, args...)
}

// failHint is fail with what was probably meant.
func (d *decoder) failHint(v value, hint, format string, args ...any) {
	d.at(v.node, v.path, hint, format, args...)
}

// mark records where a value was written: the value of a scalar, else its key,
// else (an item of a list) its first token.
func (d *decoder) mark(v value) {
	n := v.node
	if !v.scalar() && v.key != nil {
		n = v.key
	}
	if !v.scalar() && v.key == nil && len(n.Content) > 0 {
		n = n.Content[0]
	}
	d.origins.Set(v.path, d.origin(n))
}

// follow resolves an alias. What is read by way of aliases is counted, so that
// a few lines cannot unfold into gigabytes.
func (d *decoder) follow(n *yaml.Node, path resource.Path) (*yaml.Node, bool) {
	for hops := 0; n.Kind == yaml.AliasNode; hops++ {
		if n.Alias == nil || hops > maxDepth {
			d.at(n, path, "", "alias *%s leads nowhere", n.Value)
			return nil, false
		}
		size, fits := countNodes(n.Alias, d.aliased, 0)
		if !fits {
			d.aliased = 0 // one such alias is enough work
			d.at(n, path, "", "alias *%s unfolds into too much (all aliases of a file together: %d values), or into itself", n.Value, maxAliased)
			return nil, false
		}
		d.aliased -= size
		n = n.Alias
	}
	return n, true
}

// countNodes counts a tree with its aliases unfolded, as long as there are no
// more than limit nodes and maxDepth levels.
func countNodes(n *yaml.Node, limit, depth int) (int, bool) {
	if limit <= 0 || depth > maxDepth {
		return 0, false
	}
	if n.Kind == yaml.AliasNode {
		if n.Alias == nil {
			return 0, false
		}
		return countNodes(n.Alias, limit, depth+1)
	}
	total := 1
	for _, child := range n.Content {
		size, fits := countNodes(child, limit-total, depth+1)
		if !fits {
			return 0, false
		}
		total += size
	}
	return total, total <= limit
}

// entries reads a map in the order that it is written: keys must be plain
// strings, each at most once. Merge keys ("<<") add what is not written out.
func (d *decoder) entries(v value) []value {
	if !v.isMap() {
		d.fail(v, "must be a map, not %s", shape(v.node))
		return nil
	}
	seen := keySet{}
	list := make([]value, 0, len(v.node.Content)/2)
	var merged []value
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		key := v.node.Content[i]
		if key.ShortTag() == "!!merge" {
			merged = append(merged, d.merged(v, v.node.Content[i+1], 0)...)
			continue
		}
		key, ok := d.follow(key, v.path)
		if !ok {
			continue
		}
		if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!null" {
			d.beside(key, v.path, "", "a key must be a name, not %s", shape(key))
			continue
		}
		if before := seen.add(key); before != nil {
			d.refused[part(v.path, key.Value)] = true
			d.beside(key, v.path, fmt.Sprintf("it already stands in line %d", before.Line), "key %q stands here twice", clip(key.Value))
			continue
		}
		if entry, ok := d.entry(v, key, v.node.Content[i+1]); ok {
			list = append(list, entry)
		}
	}
	for _, entry := range merged {
		if seen.add(entry.key) == nil {
			list = append(list, entry)
		}
	}
	return list
}

// keySet holds the keys of a map: a few, as most maps have, are looked through.
type keySet struct {
	few  []*yaml.Node
	many map[string]*yaml.Node
}

// add returns the equal key that is in the set already; without one it adds key.
func (s *keySet) add(key *yaml.Node) *yaml.Node {
	const few = 16
	if s.many != nil {
		if before := s.many[key.Value]; before != nil {
			return before
		}
		s.many[key.Value] = key
		return nil
	}
	for _, before := range s.few {
		if before.Value == key.Value {
			return before
		}
	}
	if s.few = append(s.few, key); len(s.few) > few {
		s.many = make(map[string]*yaml.Node, 2*few)
		for _, known := range s.few {
			s.many[known.Value] = known
		}
	}
	return nil
}

func (d *decoder) entry(v value, key, node *yaml.Node) (value, bool) {
	if len(key.Value) > maxKey {
		d.beside(key, v.path, "", "a key has at most %d bytes", maxKey)
		return value{}, false
	}
	entry := value{key: key, path: part(v.path, key.Value)}
	node, ok := d.follow(node, entry.path)
	if !ok {
		d.refused[entry.path] = true
		return value{}, false
	}
	entry.node = node
	d.mark(entry)
	return entry, true
}

// merged gives the entries of what a merge key names: a map, or a list of maps
// of which the first wins.
func (d *decoder) merged(v value, node *yaml.Node, depth int) []value {
	node, ok := d.follow(node, v.path)
	if !ok {
		return nil
	}
	if depth > maxDepth {
		d.at(node, v.path, "", "merge keys are nested too deeply")
		return nil
	}
	var list []value
	switch node.Kind {
	case yaml.SequenceNode:
		for _, child := range node.Content {
			list = append(list, d.merged(v, child, depth+1)...)
		}
	case yaml.MappingNode:
		var deeper []value
		for i := 0; i+1 < len(node.Content); i += 2 {
			key := node.Content[i]
			switch {
			case key.ShortTag() == "!!merge":
				deeper = append(deeper, d.merged(v, node.Content[i+1], depth+1)...)
			case key.Kind == yaml.ScalarNode:
				if entry, ok := d.entry(v, key, node.Content[i+1]); ok {
					list = append(list, entry)
				}
			default:
				d.at(key, v.path, "", "a key must be a name, not %s", shape(key))
			}
		}
		list = append(list, deeper...)
	default:
		d.at(node, v.path, "", "a merge key needs a map or a list of maps, not %s", shape(node))
	}
	return list
}

// items reads a list.
func (d *decoder) items(v value) []value {
	if !v.isList() {
		d.fail(v, "must be a list, not %s", shape(v.node))
		return nil
	}
	list := make([]value, 0, len(v.node.Content))
	for i, node := range v.node.Content {
		entry := value{path: item(v.path, i)}
		node, ok := d.follow(node, entry.path)
		if !ok {
			continue
		}
		entry.node = node
		d.mark(entry)
		list = append(list, entry)
	}
	return list
}

// oneOrMore reads a list, or a single item in place of a list of one.
func (d *decoder) oneOrMore(v value) []value {
	if v.isList() {
		return d.items(v)
	}
	return []value{v}
}

// fields are the known keys of an object that are written.
type fields struct {
	d     *decoder
	self  value
	found []value
}

// object reads a map whose keys the table names. A key without a value is an
// error here, so readers never see null.
func (d *decoder) object(v value, table object) fields {
	entries := d.entries(v)
	f := fields{d: d, self: v, found: entries[:0]}
	for _, entry := range entries {
		name := entry.key.Value
		known := table.key(name)
		switch {
		case known == nil:
			names := table.names()
			d.beside(entry.key, v.path, meant(name, names), "unknown key %q", clip(name))
			if near, found := resource.Nearest(name, names); found {
				d.refused[part(v.path, near)] = true
			}
		case known.later:
			d.at(entry.key, entry.path, "", "is not supported by this version yet")
		case entry.isNull():
			d.at(entry.key, entry.path, "", "has no value; leave the key out for the default (%s)", or(known.standard, "none"))
		default:
			f.found = append(f.found, entry)
		}
	}
	return f
}

// get gives the value of a key.
func (f fields) get(name string) (value, bool) {
	for _, v := range f.found {
		if v.key.Value == name {
			return v, true
		}
	}
	return value{}, false
}

// written gives the value of a key that is known to be there.
func (f fields) written(name string) value {
	v, _ := f.get(name)
	return v
}

// has tells whether a key is written.
func (f fields) has(name string) bool {
	_, ok := f.get(name)
	return ok
}

// exclusive reports keys of which at most one may stand here, and returns those
// that do.
func (f fields) exclusive(names ...string) []string {
	var there []string
	for _, name := range names {
		if f.has(name) {
			there = append(there, name)
		}
	}
	if len(there) > 1 {
		for _, name := range there {
			f.d.refused[part(f.self.path, name)] = true
		}
		f.d.beside(f.written(there[1]).key, f.self.path, "", "%s stand together; only one may", strings.Join(there, " and "))
	}
	return there
}

// nearest is the hint for a word that is none of the candidates.
func nearest(word string, candidates []string) string {
	if near, ok := resource.Nearest(word, candidates); ok {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return ""
}

// meant is the hint for a key that is none of the candidates.
func meant(name string, candidates []string) string {
	if hint := nearest(name, candidates); hint != "" {
		return hint
	}
	if len(candidates) > 0 && len(candidates) <= 24 {
		sorted := slices.Sorted(slices.Values(candidates))
		return "known here: " + strings.Join(sorted, ", ")
	}
	return ""
}

// shape says what a node is, for people.
func shape(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a map"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		switch n.ShortTag() {
		case "!!null":
			return "nothing"
		case "!!int", "!!float":
			return "the number " + clip(n.Value)
		case "!!bool":
			return clip(n.Value)
		}
		return fmt.Sprintf("%q", clip(n.Value))
	}
	return "this"
}

// clip shortens what is repeated in a message.
func clip(text string) string {
	if runes := []rune(text); len(runes) > 60 {
		return string(runes[:60]) + "..."
	}
	return text
}

func or(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}
