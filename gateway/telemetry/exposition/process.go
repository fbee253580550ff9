package exposition

import (
	"runtime"
	"time"

	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
)

// loops is what is told of each worker's loop.
var loops = []spec[worker.Stats]{
	{"longmen_worker_turns_total", "Turns of the loop.", CounterKind, "",
		func(s *worker.Stats, r *row) { r.add(float64(s.Turns.Load())) }},
	{"longmen_worker_events_total", "Socket events handled.", CounterKind, "",
		func(s *worker.Stats, r *row) { r.add(float64(s.Events.Load())) }},
	{"longmen_worker_tasks_total", "Tasks run that other goroutines posted.", CounterKind, "",
		func(s *worker.Stats, r *row) { r.add(float64(s.Tasks.Load())) }},
	{"longmen_worker_timers_fired_total", "Timers fired.", CounterKind, "",
		func(s *worker.Stats, r *row) { r.add(float64(s.TimersFired.Load())) }},
	{"longmen_worker_busy_seconds_total", "Time that the loop did not sleep.", CounterKind, "",
		func(s *worker.Stats, r *row) { r.add(time.Duration(s.BusyTime.Load()).Seconds()) }},
	{"longmen_worker_longest_turn_seconds", "Longest turn since the start.", GaugeKind, "",
		func(s *worker.Stats, r *row) { r.add(time.Duration(s.LongestTurn.Load()).Seconds()) }},
	{"longmen_worker_watchdog_reports_total", "Turns that the watchdog reported as too long.", CounterKind, "",
		func(s *worker.Stats, r *row) { r.add(float64(s.Held.Load())) }},
	{"longmen_worker_panics_total", "Panics caught; each ended one stream or task.", CounterKind, "",
		func(s *worker.Stats, r *row) { r.add(float64(s.Panics.Load())) }},
	{"longmen_worker_coroutines", "Coroutines, by state: serving a stream, or pooled.", GaugeKind, "state",
		func(s *worker.Stats, r *row) {
			r.add(float64(s.Coroutines.Load()), "live")
			r.add(float64(s.IdleCoroutines.Load()), "pooled")
		}},
	{"longmen_worker_buffers", "Buffers in use.", GaugeKind, "",
		func(s *worker.Stats, r *row) { r.add(float64(s.Buffers.Load())) }},
	{"longmen_worker_buffer_bytes", "Bytes of the worker's buffers.", GaugeKind, "",
		func(s *worker.Stats, r *row) { r.add(float64(s.BufferBytes.Load())) }},
	{"longmen_worker_timers", "Timers in the wheel.", GaugeKind, "",
		func(s *worker.Stats, r *row) { r.add(float64(s.Timers.Load())) }},
}

// accessLogs is what is told of each access log.
var accessLogs = []spec[metrics.AccessLog]{
	{"longmen_access_log_lines_total", "Lines written.", CounterKind, "",
		func(a *metrics.AccessLog, r *row) { r.add(float64(a.Lines)) }},
	{"longmen_access_log_dropped_total", "Lines lost because the destination was too slow or failed.", CounterKind, "",
		func(a *metrics.AccessLog, r *row) { r.add(float64(a.Dropped)) }},
	{"longmen_access_log_bytes_total", "Bytes written.", CounterKind, "",
		func(a *metrics.AccessLog, r *row) { r.add(float64(a.Bytes)) }},
	{"longmen_access_log_errors_total", "Failed writes, closes and reopenings.", CounterKind, "",
		func(a *metrics.AccessLog, r *row) { r.add(float64(a.Errors)) }},
}

// configuration is what is told of the configuration that serves.
var configuration = []spec[metrics.ReloadState]{
	{"longmen_config_info", "Always 1; the label is the version of the configuration that serves.", GaugeKind, "version",
		func(s *metrics.ReloadState, r *row) { r.add(1, s.Version) }},
	{"longmen_config_reloads_total", "Configurations loaded, the first included, by result.", CounterKind, "result",
		func(s *metrics.ReloadState, r *row) {
			r.add(float64(s.Succeeded), "success")
			r.add(float64(s.Failed), "failure")
		}},
	{"longmen_config_last_reload_timestamp_seconds", "When a configuration was last loaded, in seconds since 1970, by result; 0 means never.", GaugeKind, "result",
		func(s *metrics.ReloadState, r *row) {
			r.add(unixSeconds(s.LastSuccess), "success")
			r.add(unixSeconds(s.LastFailure), "failure")
		}},
	{"longmen_config_last_reload_successful", "1 when the last configuration was taken, 0 when it was refused.", GaugeKind, "",
		func(s *metrics.ReloadState, r *row) {
			if s.Succeeded > 0 && !s.LastFailure.After(s.LastSuccess) {
				r.add(1)
			} else {
				r.add(0)
			}
		}},
}

func unixSeconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

// Build names the binary.
type Build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
}

// instance is what is told of the process itself, beside the go_ and process_ families.
type instance struct {
	build  Build
	uptime time.Duration
}

var process = []spec[instance]{
	{"longmen_uptime_seconds", "Time since the start.", GaugeKind, "",
		func(i *instance, r *row) { r.add(i.uptime.Seconds()) }},
	{"longmen_build_info", "Always 1; the labels name the binary.", GaugeKind, "version,revision,go_version",
		func(i *instance, r *row) { r.add(1, i.build.Version, i.build.Revision, runtime.Version()) }},
}
