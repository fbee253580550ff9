package yaml

import (
	"bytes"
	"path/filepath"
	"testing"

	yaml "go.yaml.in/yaml/v4"
	"google.golang.org/protobuf/proto"
)

// FuzzDecode feeds any bytes: the decoder must not panic, its problems must be
// renderable, and a file without problems must survive the round trip.
func FuzzDecode(f *testing.F) {
	for _, pattern := range []string{"testdata/golden/*.yaml", "testdata/broken/*.yaml"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			f.Fatalf("%s: %v", pattern, err)
		}
		for _, name := range names {
			f.Add(read(f, name))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			t.Skip("long inputs find nothing that short ones do not")
		}
		survives(t, data)
	})
}

// survives checks what holds for every input.
func survives(t *testing.T, data []byte) {
	t.Helper()
	result, problems := Decode("f", data)
	var text bytes.Buffer
	if err := problems.Render(&text, map[string][]byte{"f": data}); err != nil {
		t.Fatal(err)
	}
	if _, err := problems.JSON(); err != nil {
		t.Fatal(err)
	}
	if len(problems.Errors()) > 0 {
		return
	}
	written, err := Encode(result.Set)
	if err != nil {
		t.Fatalf("what was read cannot be written: %v\n%s", err, data)
	}
	again, problems := Decode("f", written)
	if len(problems) > 0 {
		t.Fatalf("what was written cannot be read: %v\n%s", problems, written)
	}
	before, after := messages(result.Set), messages(again.Set)
	if len(before) != len(after) {
		t.Fatalf("%d resources became %d", len(before), len(after))
	}
	for i := range before {
		if !proto.Equal(before[i], after[i]) {
			t.Fatalf("differs:\n%v\n%v\n%s", before[i], after[i], data)
		}
	}
}

// Every value of the golden files in turn is replaced by values that do not
// belong there.
func TestOddValues(t *testing.T) {
	odd := []string{"[]", "{}", "null", `""`, "-1", "99999999999999999999", "0.5", "true", "xds", "\"\\x00\"", "[[a]]", "{a: {b: c}}", `"*"`, `"%"`, "/", `"é:1"`}
	for _, name := range files(t, "testdata/golden/*.yaml") {
		t.Run(filepath.Base(name), func(t *testing.T) {
			var document yaml.Node
			if err := yaml.Unmarshal(read(t, name), &document); err != nil {
				t.Fatal(err)
			}
			turn := 0
			var visit func(n *yaml.Node)
			visit = func(n *yaml.Node) {
				for i := range n.Content {
					var other yaml.Node
					// One odd value for each place keeps the test fast; the next place gets the next.
					if err := yaml.Unmarshal([]byte(odd[turn%len(odd)]), &other); err != nil {
						t.Fatal(err)
					}
					turn++
					kept := n.Content[i]
					n.Content[i] = other.Content[0]
					if data, err := yaml.Dump(&document); err == nil { // an alias may have lost its anchor
						survives(t, data)
					}
					n.Content[i] = kept
					visit(kept)
				}
			}
			visit(&document)
		})
	}
}

// A file that ends early is never a panic.
func TestCutFiles(t *testing.T) {
	for _, name := range files(t, "testdata/golden/*.yaml") {
		data := read(t, name)
		for end := 0; end < len(data); end += 41 {
			survives(t, data[:end])
		}
	}
}
