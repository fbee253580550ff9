package stream

import (
	"os"
	"strings"
	"testing"
)

// The documentation names every operator; those of endpoints' certificates, by
// those of clients'.
func TestFormatDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/access-log.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range operators {
		name := strings.Replace(op.name, "UPSTREAM_PEER_", "DOWNSTREAM_PEER_", 1)
		if op.name != "" && !strings.Contains(string(text), "%"+name+"%") && !strings.Contains(string(text), "%"+name+"(") {
			t.Errorf("docs/access-log.md lacks %%%s%%", op.name)
		}
	}
}
