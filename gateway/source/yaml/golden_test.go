package yaml

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"longmen/gateway/resource"
)

var update = flag.Bool("update", false, "write what the tests find as what they expect")

// expect compares got with a file, which -update writes.
func expect(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got), -update accepts:\n%s", name, diff)
	}
}

func files(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %v, %d files", pattern, err, len(names))
	}
	return names
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// decodeGood decodes what must have no problem.
func decodeGood(t *testing.T, name string, data []byte) *Result {
	t.Helper()
	result, problems := Decode(filepath.Base(name), data)
	if len(problems) > 0 {
		var text bytes.Buffer
		if err := problems.Render(&text, map[string][]byte{filepath.Base(name): data}); err != nil {
			t.Fatal(err)
		}
		t.Fatalf("unexpected problems:\n%s", text.String())
	}
	return result
}

// messages are all resources of a set, as one list.
func messages(set *resource.Set) []proto.Message {
	var list []proto.Message
	for _, m := range set.Listeners {
		list = append(list, m)
	}
	for _, m := range set.Routes {
		list = append(list, m)
	}
	for _, m := range set.Clusters {
		list = append(list, m)
	}
	for _, m := range set.Secrets {
		list = append(list, m)
	}
	return list
}

// asJSON is protojson without the changing blanks that it is defined to have.
func asJSON(t *testing.T, result *Result) []byte {
	t.Helper()
	var parts []string
	for _, m := range messages(result.Set) {
		text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := json.Indent(&out, text, "", "  "); err != nil {
			t.Fatal(err)
		}
		parts = append(parts, out.String())
	}
	process, err := json.MarshalIndent(result.Process, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return []byte("{\"process\": " + string(process) + ", \"resources\": [" + strings.Join(parts, ",\n") + "]}\n")
}

func TestGolden(t *testing.T) {
	for _, name := range files(t, "testdata/golden/*.yaml") {
		t.Run(filepath.Base(name), func(t *testing.T) {
			result := decodeGood(t, name, read(t, name))
			expect(t, strings.TrimSuffix(name, ".yaml")+".json", asJSON(t, result))
		})
	}
}

func TestRoundTrip(t *testing.T) {
	for _, name := range files(t, "testdata/golden/*.yaml") {
		t.Run(filepath.Base(name), func(t *testing.T) {
			first := decodeGood(t, name, read(t, name))
			text, err := Encode(first.Set)
			if err != nil {
				t.Fatal(err)
			}
			second := decodeGood(t, "again.yaml", text)
			if diff := cmp.Diff(messages(first.Set), messages(second.Set), protocmp.Transform()); diff != "" {
				t.Errorf("resources differ (-first +again):\n%s\nwritten as:\n%s", diff, text)
			}
			again, err := Encode(second.Set)
			if err != nil || !bytes.Equal(text, again) {
				t.Errorf("a second round writes something else (%v)", err)
			}
			expect(t, strings.TrimSuffix(name, ".yaml")+".encoded", text)
		})
	}
}
