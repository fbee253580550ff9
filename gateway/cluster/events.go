package cluster

import (
	"context"
	"log/slog"
	"time"

	"longmen/gateway/cluster/eventlog"
	"longmen/gateway/cluster/health"
	"longmen/gateway/cluster/outlier"
)

// logChange writes that a check's state has changed.
func (c *Cluster) logChange(e *Endpoint, i int, event health.Event, healthy bool) {
	level := slog.LevelInfo
	switch {
	case event.New == health.Down:
		level = slog.LevelWarn
	case event.Old == health.Unchecked:
		level = slog.LevelDebug
	}
	c.logLine(level, "health check", "cluster", c.config.Name, "endpoint", e.String(), "check", i,
		"old", event.Old.String(), "new", event.New.String(), "reason", event.Reason, "healthy", healthy)
	c.runtime.events.Write(c.config.Health[i].EventLog, &eventlog.Event{
		Time: time.Now(), Type: "health", Cluster: c.config.Name, Endpoint: e.String(), Check: &i,
		From: event.Old.String(), To: event.New.String(), Reason: event.Reason,
	})
}

// logResult writes what a check came to, where the configuration wants each of them.
func (c *Cluster) logResult(e *Endpoint, i int, err error) {
	config := &c.config.Health[i]
	if config.EventLog == "" || err != nil && !config.LogFailures || err == nil && !config.LogSuccesses {
		return
	}
	state, reason := e.Health().State.String(), "passed"
	if err != nil {
		reason = err.Error()
	}
	c.runtime.events.Write(config.EventLog, &eventlog.Event{
		Time: time.Now(), Type: "check", Cluster: c.config.Name, Endpoint: e.String(), Check: &i, From: state, To: state, Reason: reason,
	})
}

// Of ejections, in events.
const (
	inUse   = "in use"
	ejected = "ejected"
)

// logEjection writes that an endpoint was ejected, or could have been, or is back.
func (c *Cluster) logEjection(e *Endpoint, event outlier.Event) {
	level, message, from, to := slog.LevelInfo, "endpoint is back", ejected, inUse
	switch {
	case event.Ejected && event.Enforced:
		level, message, from, to = slog.LevelWarn, "endpoint ejected", inUse, ejected
	case event.Ejected:
		message, from, to = "outlier, not ejected", inUse, inUse
	}
	c.logLine(level, message, "cluster", c.config.Name, "endpoint", e.String(), "cause", event.Cause.String(),
		"reason", event.Reason, "ejections", event.Times, "for", event.Lasts)
	c.runtime.events.Write(c.config.Outlier.EventLog, &eventlog.Event{
		Time: time.Now(), Type: "outlier", Cluster: c.config.Name, Endpoint: e.String(), From: from, To: to, Reason: event.Reason,
		Cause: event.Cause.String(), Enforced: &event.Enforced, Ejections: event.Times, Seconds: event.Lasts.Seconds(),
	})
}

// logLine writes to the process log, if that has not had too many lines.
func (c *Cluster) logLine(level slog.Level, message string, args ...any) {
	if !c.runtime.log.Enabled(context.Background(), level) {
		return
	}
	if log := c.runtime.events.Process(); log != nil {
		log.Log(context.Background(), level, message, args...)
	}
}
