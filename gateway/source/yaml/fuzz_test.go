package yaml

import (
	"bytes"
	"path/filepath"
	"testing"

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
			t.Fatalf("what was read cannot be written: %v", err)
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
				t.Fatalf("differs:\n%v\n%v", before[i], after[i])
			}
		}
	})
}
