package yaml

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	yaml "go.yaml.in/yaml/v4"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"longmen/gateway/resource"
)

// Encode writes resources in the vocabulary of gateway.yaml. What it writes is
// read back and compared, so the text says exactly what the resources say (with
// files named as the process opens them, not relative to the text's folder); a
// resource with a part that the vocabulary has no key for is an error that names
// it.
func Encode(set *resource.Set) ([]byte, error) {
	if len(set.Endpoints) > 0 {
		return nil, fmt.Errorf("separate endpoints cannot be written as YAML by this version yet")
	}
	e := &encoder{}
	root := &mapping{}
	listeners, routes, clusters := &mapping{}, &mapping{}, &mapping{}
	for _, l := range set.Listeners {
		listeners.put(l.GetName(), e.listener(l).node())
	}
	for _, r := range set.Routes {
		routes.put(r.GetName(), e.routeTable(r))
	}
	for _, c := range set.Clusters {
		clusters.put(c.GetName(), e.cluster(c).node())
	}
	root.sub("listeners", listeners)
	root.sub("routes", routes)
	root.sub("clusters", clusters)
	root.sub("secrets", e.secrets(set.Secrets))
	if e.err != nil {
		return nil, e.err
	}
	text, err := yaml.Dump(root.node(), yaml.WithV4Defaults(), yaml.WithLineWidth(-1))
	if err != nil {
		return nil, err
	}
	return text, verify(set, text)
}

// verify reads text back and compares.
func verify(set *resource.Set, text []byte) error {
	again, problems := Decode("", text)
	if err := compareAll("listener", set.Listeners, again.Set.Listeners); err != nil {
		return err
	}
	if err := compareAll("route table", set.Routes, again.Set.Routes); err != nil {
		return err
	}
	if err := compareAll("cluster", set.Clusters, again.Set.Clusters); err != nil {
		return err
	}
	if err := compareAll("secret", set.Secrets, again.Set.Secrets); err != nil {
		return err
	}
	if err := problems.Err(); err != nil {
		return fmt.Errorf("the resources have parts that gateway.yaml cannot say: %w", err)
	}
	return nil
}

func compareAll[M interface {
	proto.Message
	GetName() string
}](kind string, want, got []M) error {
	for i, m := range want {
		if i >= len(got) || !proto.Equal(m, got[i]) {
			return fmt.Errorf("%s %q has parts that gateway.yaml has no key for", kind, m.GetName())
		}
	}
	return nil
}

// encoder keeps the first error.
type encoder struct{ err error }

func (e *encoder) fail(format string, args ...any) {
	if e.err == nil {
		e.err = fmt.Errorf(format, args...)
	}
}

// extended reads an extension; what is wrong with it fails the encoding.
func (e *encoder) extended(kind, name string, values resource.Values, err error) resource.Values {
	if err != nil {
		e.fail("%s %q: %w", kind, name, err)
		return resource.Values{}
	}
	return values
}

// mapping builds a map whose keys stay in order.
type mapping struct{ content []*yaml.Node }

func (m *mapping) node() *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: m.content}
	if n.Content == nil || simple(n) {
		n.Style = yaml.FlowStyle
	}
	return n
}

// simple tells what reads well on one line.
func simple(n *yaml.Node) bool {
	size := 0
	for i, child := range n.Content {
		switch {
		case child.Kind == yaml.ScalarNode:
			if child.Style != 0 {
				return false
			}
			size += len(child.Value) + 4
		case child.Style&yaml.FlowStyle == 0:
			return false
		case n.Kind == yaml.MappingNode && i%2 == 0:
			return false
		default:
			for _, inner := range child.Content {
				size += len(inner.Value) + 4
			}
			size += 4 * len(child.Content)
		}
	}
	return size < 80
}

func (m *mapping) put(key string, value *yaml.Node) {
	m.content = append(m.content, text(key), value)
}

// sub puts a map that is not empty.
func (m *mapping) sub(key string, value *mapping) {
	if len(value.content) > 0 {
		m.put(key, value.node())
	}
}

func text(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
}

func number[N int64 | uint32](n N) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.FormatInt(int64(n), 10)}
}

func truth(on bool) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(on)}
}

func list(nodes ...*yaml.Node) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: nodes}
	if simple(n) {
		n.Style = yaml.FlowStyle
	}
	return n
}

func texts(words []string) *yaml.Node {
	var nodes []*yaml.Node
	for _, word := range words {
		nodes = append(nodes, text(word))
	}
	return list(nodes...)
}

// The writers of a key leave out what is not set.

func (m *mapping) word(key, s string) {
	if s != "" {
		m.put(key, text(s))
	}
}

func (m *mapping) duration(key string, d *durationpb.Duration) {
	if d != nil {
		m.put(key, text(span(d.AsDuration())))
	}
}

func (m *mapping) number(key string, n *wrapperspb.UInt32Value) {
	if n != nil {
		m.put(key, number(n.GetValue()))
	}
}

// value writes a key of an extension.
func (m *mapping) value(key string, values resource.Values, name string) {
	switch v := values[name].(type) {
	case string:
		m.put(key, text(v))
	case int64:
		m.put(key, number(v))
	case bool:
		m.put(key, truth(v))
	case time.Duration:
		m.put(key, text(span(v)))
	}
}

// size writes a key of an extension that counts bytes.
func (m *mapping) size(key string, values resource.Values, name string) {
	if n, ok := values.Number(name); ok {
		m.put(key, bytesNode(n))
	}
}

func bytesNode(n int64) *yaml.Node {
	if s := formatBytes(n); s != strconv.FormatInt(n, 10) {
		return text(s)
	}
	return number(n)
}

// span writes a duration as people do: 1m and not 1m0s.
func span(d time.Duration) string {
	switch {
	case d >= time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d >= time.Minute && d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
