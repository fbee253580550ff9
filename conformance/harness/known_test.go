package harness

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLoadKnown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "known.txt")
	for _, c := range []struct {
		text string
		ok   bool
	}{
		{"# none\n\n", true},
		{"request/x: not yet\n", true},
		{"request/x\n", false},
		{"request/x:\n", false},
		{"request/x: a\nrequest/x: b\n", false},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := loadKnown(path); (err == nil) != c.ok {
			t.Errorf("%q: %v", c.text, err)
		}
	}
	if known, err := loadKnown(filepath.Join(t.TempDir(), "none")); err != nil || len(known) != 0 {
		t.Errorf("no file: %v, %v", known, err)
	}
}
