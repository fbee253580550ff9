package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The reference's example of what becomes of requests is one that check has nothing
// against.
func TestExampleOfTraffic(t *testing.T) {
	page, err := os.ReadFile("../../docs/gateway-yaml.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "\n## Traffic\n")
	_, rest, also := strings.Cut(rest, "```yaml\n")
	example, _, closed := strings.Cut(rest, "```")
	if !found || !also || !closed {
		t.Fatal("the reference has lost its section on traffic")
	}
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	text := "listeners: {http: {bind: \":8080\", routes: public}}\n" + example
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := longmen(t, "check", "-c", file); !strings.Contains(got, "is good") || strings.Contains(got, "warning") {
		t.Error(got)
	}
}
