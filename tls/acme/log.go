package acme

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// zapLog is a logger for CertMagic that writes into ours. What CertMagic tells is
// about its own steps: it counts one level less here, where outcomes are logged
// by the authority.
func zapLog(to *slog.Logger) *zap.Logger { return zap.New(&zapCore{to: to}) }

type zapCore struct{ to *slog.Logger }

func level(l zapcore.Level) slog.Level {
	switch {
	case l >= zapcore.ErrorLevel:
		return slog.LevelWarn
	case l == zapcore.WarnLevel:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// Enabled leaves CertMagic's own debugging out.
func (c *zapCore) Enabled(l zapcore.Level) bool {
	return l > zapcore.DebugLevel && c.to.Enabled(context.Background(), level(l))
}

// With is a core whose entries have these fields too.
func (c *zapCore) With(fields []zapcore.Field) zapcore.Core {
	return &zapCore{to: c.to.With(attributes(fields)...)}
}

// Check is asked whether the entry will be written.
func (c *zapCore) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return checked.AddCore(e, c)
	}
	return checked
}

// Write writes an entry.
func (c *zapCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	c.to.Log(context.Background(), level(e.Level), "ACME: "+e.Message, attributes(fields)...)
	return nil
}

// Sync does nothing: slog keeps nothing back.
func (c *zapCore) Sync() error { return nil }

func attributes(fields []zapcore.Field) []any {
	encoder := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(encoder)
	}
	var out []any
	for _, key := range slices.Sorted(maps.Keys(encoder.Fields)) {
		out = append(out, key, encoder.Fields[key])
	}
	return out
}
