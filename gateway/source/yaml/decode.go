// Package yaml reads gateway.yaml, the configuration that people write, into
// resources, and writes resources in its vocabulary. docs/gateway-yaml.md is the
// reference of that vocabulary; both it and the decoder follow the tables of
// keys here. The package does no input or output.
package yaml

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	yaml "go.yaml.in/yaml/v4"

	"longmen/gateway/resource"
)

// Result is what a file says.
type Result struct {
	// Set holds the resources. Its Origins have the place of every part, those
	// of the process's settings too ("admin.bind").
	Set *resource.Set
	// Process are the settings of the process: maps, lists, strings, bools and
	// int64s as they stand in the file, checked. Durations stay strings.
	Process map[string]any
	// Refused are the parts that are missing from Set and Process, or stand there
	// otherwise than they were meant, because of a problem.
	Refused map[resource.Path]bool
}

// Decode reads a file. It goes on after a problem and reports all of them,
// sorted by place; with a problem that is not a warning, the result must not be
// served. file is the name that stands in origins.
func Decode(file string, data []byte) (*Result, resource.Problems) {
	d := newDecoder(file)
	set := &resource.Set{Origins: d.origins}
	result := &Result{Set: set, Process: map[string]any{}, Refused: d.refused}
	if root, ok := d.parse(data); ok {
		top := d.object(root, topTable)
		for _, v := range d.resources(top, "secrets") { // first, as others refer to them
			set.Secrets = append(set.Secrets, d.secrets(v)...)
		}
		for _, v := range d.resources(top, "listeners") {
			set.Listeners = append(set.Listeners, d.listener(v))
		}
		for _, v := range d.resources(top, "routes") {
			set.Routes = append(set.Routes, d.routeTable(v))
		}
		for _, v := range d.resources(top, "clusters") {
			set.Clusters = append(set.Clusters, d.cluster(v))
		}
		result.Process = d.process(top)
	}
	return result, d.finish()
}

// Process reads the settings of the process only: what Decode returns as
// Result.Process, with the problems of that part of the file.
func Process(file string, data []byte) (map[string]any, resource.Problems) {
	d := newDecoder(file)
	root, ok := d.parse(data)
	if !ok {
		return map[string]any{}, d.finish()
	}
	settings := d.process(d.object(root, topTable))
	return settings, d.finish()
}

func newDecoder(file string) *decoder {
	return &decoder{file: file, origins: &resource.Origins{}, aliased: maxAliased, refused: map[resource.Path]bool{}, pairs: map[string]int{}}
}

func (d *decoder) finish() resource.Problems {
	d.problems.Sort()
	if d.dropped {
		d.problems = append(d.problems, resource.Problem{
			Origin: resource.Origin{File: d.file}, Text: "there are more problems; these are the first that were found",
		})
	}
	return d.problems
}

// parse gives the root of the only document in data. An empty file is an empty
// map: it says nothing, which is not wrong.
func (d *decoder) parse(data []byte) (value, bool) {
	whole := func(text string) (value, bool) {
		d.problems = append(d.problems, resource.Problem{Origin: resource.Origin{File: d.file}, Text: text})
		return value{}, false
	}
	if len(data) > maxFile {
		return whole("is larger than 64 MiB")
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(data) {
		return whole("is not UTF-8 text")
	}
	d.data = data
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		return whole(err.Error())
	}
	var document, second yaml.Node
	switch err := loader.Load(&document); {
	case errors.Is(err, io.EOF):
		return value{node: &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}}, true
	case err != nil:
		d.syntax(err)
		return value{}, false
	}
	switch err := loader.Load(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		d.syntax(err)
		return value{}, false
	default:
		d.at(&second, "", "", "a second document (---) begins here; one file is one document")
	}
	root, ok := d.follow(document.Content[0], "")
	if !ok {
		return value{}, false
	}
	if v := (value{node: root}); v.isNull() {
		return value{node: &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}}, true
	}
	return value{node: root}, true
}

// syntax reports what the parser says.
func (d *decoder) syntax(err error) {
	problem := resource.Problem{Origin: resource.Origin{File: d.file}, Text: err.Error()}
	var load *yaml.LoadError
	if errors.As(err, &load) {
		problem.Text = load.Message
		if load.ContextMsg != "" {
			problem.Text += " (" + load.ContextMsg + ")"
		}
		problem.Origin.Line, problem.Origin.Column = load.Mark.Line, load.Mark.Column
		if load.Mark.Line > 0 {
			problem.Width = 1
		}
	}
	problem.Text = "is no YAML: " + problem.Text
	d.problems = append(d.problems, problem)
}

// resources reads a map from names to resources.
func (d *decoder) resources(top fields, name string) []value {
	all, ok := top.get(name)
	if !ok {
		return nil
	}
	if all.scalar() && all.node.Value == "xds" {
		d.fail(all, "a control plane as the source of %s is not supported by this version yet", name)
		return nil
	}
	var list []value
	for _, entry := range d.entries(all) {
		switch {
		case !d.resourceName(entry):
		case entry.scalar() && entry.node.Value == "xds":
			d.fail(entry, "a control plane as the source is not supported by this version yet")
		default:
			list = append(list, entry)
		}
	}
	return list
}

// maxName bounds the names of resources in bytes.
const maxName = 128

// resourceName checks the key of a resource. Its characters are those that need
// no quotes in YAML, paths of problems and metrics.
func (d *decoder) resourceName(entry value) bool {
	name := entry.key.Value
	odd := strings.IndexFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
	})
	if name == "" || len(name) > maxName || odd >= 0 {
		d.at(entry.key, entry.path, "", "a name has 1 to %d letters, digits, dots, hyphens and underscores", maxName)
		return false
	}
	return true
}
