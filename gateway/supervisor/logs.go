package supervisor

import (
	"context"
	"slices"
	"time"

	"longmen/gateway/snapshot"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/accesslog"
)

// output is one access log of a listener.
type output struct {
	buffer *accesslog.Buffer
	format *stream.Format
}

func (w *edgeWorker) outputs(a *adoption, l *snapshot.Listener) []output {
	var list []output
	for _, log := range l.HTTP.AccessLog {
		writer := a.writers[log.Path]
		buffer := w.logs[writer]
		if buffer == nil {
			buffer = writer.Buffer(w.loop.ID)
			buffer.FlushOn(w.loop)
			w.logs[writer] = buffer
		}
		list = append(list, output{buffer, log.Format})
	}
	return list
}

// use is what streams of one listener that began with one snapshot need of the
// logs, on one worker.
type use struct {
	port    *port
	outputs []output
	streams int // that began and have not been logged
}

// forgetUses drops those that no stream has and none can begin with.
func (w *edgeWorker) forgetUses() {
	w.uses = slices.DeleteFunc(w.uses, func(u *use) bool {
		begins := u.port.use == u && (w.ports[u.port.name] == u.port || slices.Contains(w.leaving, u.port))
		return u.streams == 0 && !begins
	})
}

// retireLog hands over what waits for a log that no listener has any more, and
// reports whether nothing will come for it.
func (w *edgeWorker) retireLog(path string) bool {
	w.forget()
	w.forgetUses()
	for writer, buffer := range w.logs {
		if writer.Path() != path {
			continue
		}
		for _, u := range w.uses {
			for i := range u.outputs {
				if u.outputs[i].buffer == buffer {
					return false
				}
			}
		}
		if !buffer.Retire() {
			return false
		}
		delete(w.logs, writer)
	}
	return true
}

// flushLogs hands over the lines that wait.
func (w *edgeWorker) flushLogs() {
	for _, b := range w.logs {
		b.FlushNow()
	}
}

const (
	// sweepEvery is how often logs that no listener has any more are looked at.
	sweepEvery = time.Second
	// closeWait bounds the wait for a log to be written to its end.
	closeWait = time.Second
)

// sweepLogs closes the logs that no listener of the current snapshot has, as
// soon as the streams that began with them have ended. s.mu must be held.
func (s *Supervisor) sweepLogs() {
	if s.closeLogs() || s.sweeping {
		return
	}
	s.sweeping = true
	s.retired.Go(func() {
		tick := time.NewTicker(sweepEvery)
		defer tick.Stop()
		for {
			select {
			case <-s.stop:
				return
			case <-tick.C:
			}
			if !s.mu.TryLock() {
				continue // a snapshot is applied, or the gateway drains
			}
			done := s.closeLogs()
			s.sweeping = !done
			s.mu.Unlock()
			if done {
				return
			}
		}
	})
}

// closeLogs closes those that can be, and reports whether these were all.
func (s *Supervisor) closeLogs() (all bool) {
	wanted := map[string]bool{}
	for _, l := range s.current.Load().Listeners {
		for _, log := range l.HTTP.AccessLog {
			wanted[log.Path] = true
		}
	}
	all = true
	for path := range s.logged {
		if wanted[path] {
			continue
		}
		unused := true
		for _, w := range s.workers {
			retired := false
			w.loop.Do(func() { retired = w.retireLog(path) })
			unused = unused && retired
		}
		if unused {
			delete(s.logged, path)
		} else {
			all = false
		}
	}
	s.retainLogs()
	return all
}

// retainLogs closes the logs that are not noted as logged.
func (s *Supervisor) retainLogs() {
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	if err := s.logs.Retain(ctx, func(path string) bool { return s.logged[path] }); err != nil {
		s.log.Warn("access logs", "error", err)
	}
}
