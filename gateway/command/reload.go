package command

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"runtime/debug"
	"strings"
	"sync/atomic"

	"longmen/gateway/admin"
	"longmen/gateway/resource"
	"longmen/gateway/snapshot"
	"longmen/gateway/source/yaml"
)

// gateway is what runs: package supervisor's Supervisor.
type gateway interface {
	// Apply makes a snapshot the one that serves; on an error the one before stays.
	Apply(*snapshot.Snapshot) error
	// Run serves until ctx ends or draining is done.
	Run(context.Context) error
	// Drain begins to drain and returns.
	Drain()
	// Refused is told of a configuration that did not come to Apply.
	Refused()
	// ReopenLogs opens the access logs anew, after they were rotated.
	ReopenLogs() error
}

// starter makes the gateway of a runner, whose settings and log are there.
type starter func(*runner) (gateway, error)

// runner keeps a gateway's configuration up to date.
type runner struct {
	file     string
	from     sources
	in       io.Reader
	errOut   io.Writer
	settings *Settings // of the start: they do not change while it runs
	log      *slog.Logger
	logFile  *logFile // nil: standard output or error
	level    *slog.LevelVar
	gateway  gateway
	current  atomic.Pointer[loaded] // without its resources; read by the admin API too
	watcher  *watcher               // nil: nothing is watched
	issued   chan struct{}          // certificates that were ordered have become others
}

// keep makes l the one that serves. Its resources are read again from its text
// when somebody asks for them: they take more memory than the snapshot does.
func (r *runner) keep(l *loaded) {
	r.current.Store(&loaded{file: l.file, text: l.text, process: l.process, settings: l.settings, snapshot: l.snapshot, files: l.files})
}

// tidy gives the memory back that reading a large file has taken.
func (r *runner) tidy() {
	if l := r.current.Load(); len(l.text) > largeFile || len(l.files) > manyFiles {
		debug.FreeOSMemory()
	}
}

// reload serves from text, if it is good.
func (r *runner) reload(text []byte) {
	before := r.current.Load()
	if len(bytes.TrimSpace(text)) == 0 {
		r.gateway.Refused()
		r.log.Error("the configuration is empty; nothing was changed", "file", r.file, "serving", before.snapshot.Version)
		return
	}
	from := r.from
	from.fixed = r.settings
	next := load(r.file, text, from, before.snapshot)
	r.watch(next, before)
	if next.snapshot == nil {
		r.gateway.Refused()
		r.refused(next, before.snapshot.Version)
		return
	}
	r.warnings(next)
	if err := r.gateway.Apply(next.snapshot); err != nil {
		r.log.Error("configuration cannot be applied; nothing was changed", "error", err, "serving", before.snapshot.Version)
		return
	}
	r.keep(next)
	for _, change := range compareTrees("", any(before.process), any(next.process)) {
		r.log.Warn("a setting of the process has changed; it counts from the next start", "key", change.path)
	}
	if next.snapshot.Version == before.snapshot.Version {
		r.log.Info("configuration read again; nothing has changed", "version", next.snapshot.Version)
		return
	}
	r.log.Info("configuration applied", "version", next.snapshot.Version, "before", before.snapshot.Version)
}

// renewed serves the certificates that ACME has ordered, with the configuration
// that there is.
func (r *runner) renewed() {
	before := r.current.Load()
	from := r.from
	from.fixed = r.settings
	next := load(r.file, before.text, from, before.snapshot)
	if next.snapshot == nil {
		r.gateway.Refused()
		r.refused(next, before.snapshot.Version)
		return
	}
	if next.snapshot.Version == before.snapshot.Version {
		return
	}
	if err := r.gateway.Apply(next.snapshot); err != nil {
		r.log.Error("new certificates cannot be served", "error", err, "serving", before.snapshot.Version)
		return
	}
	r.keep(next)
	r.log.Info("new certificates are served", "version", next.snapshot.Version, "before", before.snapshot.Version)
}

// watch follows the files that configurations name: of the one that serves and of
// one that may have been refused because of them.
func (r *runner) watch(next, before *loaded) {
	if r.watcher == nil {
		return
	}
	files := maps.Clone(next.files)
	if next.snapshot == nil {
		for name := range before.files {
			if _, there := files[name]; !there {
				files[name] = stampOf(name)
			}
		}
	}
	r.watcher.use(files)
}

// refused tells what is wrong with a new configuration, and what serves on.
func (r *runner) refused(l *loaded, serving string) {
	last := fmt.Sprintf("%s; nothing was changed, version %s is still serving", tally(l.problems), serving)
	if r.settings.Log.Format == "json" {
		for _, p := range l.problems {
			r.logProblem(p)
		}
		r.log.Error(last)
		return
	}
	var text strings.Builder
	if err := l.render(&text); err == nil {
		fmt.Fprintln(&text, last)
		_, err = io.WriteString(r.errOut, text.String())
		if err == nil {
			return
		}
	}
	r.log.Error(last)
}

// warnings tells what is odd with a good configuration.
func (r *runner) warnings(l *loaded) {
	for _, p := range l.problems {
		r.logProblem(p)
	}
}

func (r *runner) logProblem(p resource.Problem) {
	level := slog.LevelError
	if p.Warning {
		level = slog.LevelWarn
	}
	attributes := []any{"at", p.Origin.String(), "path", string(p.Path)}
	if p.Hint != "" {
		attributes = append(attributes, "hint", p.Hint)
	}
	r.log.Log(context.Background(), level, p.Text, attributes...)
}

// openLog makes the process's log.
func (r *runner) openLog(s *Settings) (io.Closer, error) {
	var to io.Writer
	var closer io.Closer = io.NopCloser(nil)
	switch s.Log.Path {
	case "/dev/stderr":
		to = r.errOut
	case "/dev/stdout":
		to = os.Stdout
	default:
		file, err := openLogFile(s.Log.Path)
		if err != nil {
			return nil, err
		}
		to, closer, r.logFile = file, file, file
		r.errOut = file // problems of a new configuration go where all is logged
	}
	r.level = &slog.LevelVar{}
	if err := r.level.UnmarshalText([]byte(s.Log.Level)); err != nil {
		return nil, err
	}
	options := &slog.HandlerOptions{Level: r.level}
	var handler slog.Handler = slog.NewTextHandler(to, options)
	if s.Log.Format == "json" {
		handler = slog.NewJSONHandler(to, options)
	}
	r.log = slog.New(handler).With("node", s.Node)
	return closer, nil
}

// dump is what serves now, for the admin API.
func (r *runner) dump(format admin.DumpFormat) ([]byte, error) {
	now := r.current.Load()
	result, problems := yaml.Decode(now.file, now.text)
	if err := problems.Err(); err != nil {
		return nil, err // the text was good when it was loaded
	}
	return dumpConfig(result.Set, format)
}
