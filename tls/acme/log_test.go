package acme

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/zap"
)

// Each entry counts one level less, with all its fields.
func TestZapLog(t *testing.T) {
	var out bytes.Buffer
	log := zapLog(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo}))).With(zap.String("a", "1"))
	log.Debug("debug")
	log.Info("info")
	log.Warn("warn", zap.Int("b", 2))
	log.Error("error", zap.Strings("c", []string{"x"}))
	text := out.String()
	for _, want := range []string{`level=INFO msg="ACME: warn" a=1 b=2`, `level=WARN msg="ACME: error" a=1 c=[x]`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s\nlacks %s", text, want)
		}
	}
	if strings.Count(text, "\n") != 2 {
		t.Errorf("not two entries:\n%s", text)
	}
}
