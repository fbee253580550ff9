package admin

import (
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/valyala/fasthttp"

	"longmen/gateway/telemetry/exposition"
)

func (s *Server) ready(ctx *fasthttp.RequestCtx) {
	ready, reason := s.options.Ready()
	if !ready {
		ctx.SetStatusCode(fasthttp.StatusServiceUnavailable)
	} else {
		reason = "ready"
	}
	show(ctx, struct {
		Ready  bool   `json:"ready"`
		Reason string `json:"reason"`
	}{ready, reason}, func(w *tabwriter.Writer) { fmt.Fprintln(w, reason) })
}

func (s *Server) live(ctx *fasthttp.RequestCtx) {
	state := "live"
	if s.options.Live != nil {
		if err := s.options.Live(); err != nil {
			ctx.SetStatusCode(fasthttp.StatusServiceUnavailable)
			state = err.Error()
		}
	}
	show(ctx, struct {
		Live   bool   `json:"live"`
		Reason string `json:"reason"`
	}{state == "live", state}, func(w *tabwriter.Writer) { fmt.Fprintln(w, state) })
}

func (s *Server) version(ctx *fasthttp.RequestCtx) {
	build := s.options.Build
	show(ctx, struct {
		Version  string `json:"version"`
		Revision string `json:"revision"`
		Go       string `json:"go"`
	}{build.Version, build.Revision, runtime.Version()}, func(w *tabwriter.Writer) {
		fmt.Fprintf(w, "longmen\t%s\nrevision\t%s\ngo\t%s\n", build.Version, build.Revision, runtime.Version())
	})
}

func (s *Server) logging(ctx *fasthttp.RequestCtx) {
	level := strings.ToLower(s.options.Level.Level().String())
	show(ctx, struct {
		Level string `json:"level"`
	}{level}, func(w *tabwriter.Writer) { fmt.Fprintln(w, level) })
}

func (s *Server) setLogging(ctx *fasthttp.RequestCtx) {
	value := ctx.FormValue("level") // query or form
	var level slog.Level
	switch string(value) {
	case "debug", "info", "warn", "error":
		level.UnmarshalText(value) // cannot fail on these
	default:
		fail(ctx, fasthttp.StatusBadRequest, "level must be debug, info, warn or error")
		return
	}
	if old := s.options.Level.Level(); old != level {
		s.options.Level.Set(level)
		s.options.Log.Log(ctx, max(level, slog.LevelInfo), "log level changed", "from", old, "to", level)
	}
	s.logging(ctx)
}

func (s *Server) drain(ctx *fasthttp.RequestCtx) {
	s.options.Drain()
	s.draining(ctx)
}

func (s *Server) draining(ctx *fasthttp.RequestCtx) {
	state := s.options.Draining()
	show(ctx, state, func(w *tabwriter.Writer) {
		if !state.Draining {
			fmt.Fprintln(w, "not draining")
			return
		}
		fmt.Fprintf(w, "draining\tsince %s\n", state.Since.UTC().Format(time.RFC3339))
		if !state.Deadline.IsZero() {
			fmt.Fprintf(w, "deadline\t%s\n", state.Deadline.UTC().Format(time.RFC3339))
		}
		fmt.Fprintf(w, "connections\t%d\nrequests\t%d\n", state.Connections, state.Requests)
	})
}

func (s *Server) configDump(ctx *fasthttp.RequestCtx) {
	format := DumpFormat(ctx.QueryArgs().Peek("format"))
	switch format {
	case DumpYAML, DumpJSON, DumpXDS:
	case "":
		format = DumpYAML
		if asJSON, _ := wantsJSON(ctx); asJSON {
			format = DumpJSON
		}
	default:
		fail(ctx, fasthttp.StatusBadRequest, "format must be yaml, json or xds")
		return
	}
	body, err := s.options.ConfigDump(format)
	if err != nil {
		fail(ctx, fasthttp.StatusInternalServerError, err.Error())
		return
	}
	ctx.SetContentType("application/json")
	if format == DumpYAML {
		// Browsers show text; they would download application/yaml.
		ctx.SetContentType("text/plain; charset=utf-8")
	}
	ctx.SetBody(body)
}

func (s *Server) stats(ctx *fasthttp.RequestCtx) {
	asJSON, ok := wantsJSON(ctx)
	if !ok {
		return
	}
	stats, err := s.options.Exporter.Stats(string(ctx.QueryArgs().Peek("filter")))
	if err != nil {
		fail(ctx, fasthttp.StatusInternalServerError, err.Error())
		return
	}
	if !asJSON {
		ctx.SetContentType("text/plain; charset=utf-8")
		ctx.SetBody(exposition.Text(stats))
		return
	}
	body, err := exposition.JSON(stats)
	if err != nil {
		fail(ctx, fasthttp.StatusInternalServerError, err.Error())
		return
	}
	ctx.SetContentType("application/json")
	ctx.SetBody(body)
}

func (s *Server) metrics(ctx *fasthttp.RequestCtx) {
	contentType, body, err := s.options.Exporter.Prometheus(string(ctx.Request.Header.Peek("Accept")))
	if err != nil {
		fail(ctx, fasthttp.StatusInternalServerError, err.Error())
		return
	}
	ctx.SetContentType(contentType)
	ctx.SetBody(body)
}
