package harness

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A State is what a proxy holds at one moment.
type State struct {
	FDs        int
	Goroutines int   // Longmen only; without the coroutines that wait in its pools
	RSS        int64 // bytes
}

func (s State) String() string {
	return fmt.Sprintf("%d file descriptors, %d goroutines, %d KiB resident", s.FDs, s.Goroutines, s.RSS>>10)
}

// State reads /proc and, of Longmen, the goroutine profile.
func (p *Proxy) State() (State, error) {
	var s State
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.PID))
	if err != nil {
		return s, err
	}
	s.FDs = len(fds)
	if s.RSS, err = p.RSS(); err != nil || p.Admin == "" {
		return s, err
	}
	// Each look at the profile takes a new connection, so that none is kept.
	tr := &http.Transport{DisableKeepAlives: true}
	res, err := (&http.Client{Transport: tr, Timeout: Patience}).Get("http://" + p.Admin + "/pprof/goroutine?debug=1")
	if err != nil {
		return s, err
	}
	defer res.Body.Close()
	line, err := bufio.NewReader(res.Body).ReadString('\n')
	if err != nil {
		return s, err
	}
	// goroutine profile: total 12
	i := strings.LastIndexByte(strings.TrimSpace(line), ' ')
	if s.Goroutines, err = strconv.Atoi(strings.TrimSpace(line[i+1:])); err != nil {
		return s, fmt.Errorf("goroutine profile begins with %q", line)
	}
	if _, err = io.Copy(io.Discard, res.Body); err != nil {
		return s, err
	}
	pooled, err := p.Gauges(`state="live"`, "longmen_worker_coroutines")
	s.Goroutines -= int(pooled["longmen_worker_coroutines"])
	return s, err
}

// RSS is the resident memory of the process, in bytes.
func (p *Proxy) RSS() (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.PID))
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return 0, fmt.Errorf("statm: %q", b)
	}
	pages, err := strconv.ParseInt(f[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// Gauges reads Longmen's metrics and adds up the samples of each name. Samples
// whose labels hold except, if it is not empty, are left out. A name that is
// not there at all is an error: a check of it would say nothing.
func (p *Proxy) Gauges(except string, names ...string) (map[string]float64, error) {
	tr := &http.Transport{DisableKeepAlives: true}
	res, err := (&http.Client{Transport: tr, Timeout: Patience}).Get("http://" + p.Admin + "/metrics")
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	sums := map[string]float64{}
	sc := bufio.NewScanner(res.Body)
	for sc.Scan() {
		name, rest, _ := strings.Cut(sc.Text(), " ")
		name, labels, _ := strings.Cut(name, "{")
		if !slices.Contains(names, name) {
			continue
		}
		if except != "" && strings.Contains(labels, except) {
			sums[name] += 0
			continue
		}
		v, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("metrics line %q: %w", sc.Text(), err)
		}
		sums[name] += v
	}
	for _, name := range names {
		if _, ok := sums[name]; !ok {
			return nil, fmt.Errorf("no metric %s", name)
		}
	}
	return sums, sc.Err()
}

// underWay are the gauges that are 0 when nothing is under way and no
// connection is open.
func underWay() []string {
	return []string{
		"longmen_downstream_connections_active", "longmen_downstream_tls_handshakes_active",
		"longmen_downstream_tunnels_active", "longmen_http_requests_active",
		"longmen_upstream_connections_active", "longmen_upstream_connections_idle",
		"longmen_upstream_requests_active", "longmen_upstream_requests_pending",
		"longmen_worker_coroutines", "longmen_worker_buffers",
	}
}

// Quiet waits until Longmen counts nothing under way, and describes what is
// left over if it never does.
func (p *Proxy) Quiet() string {
	deadline := time.Now().Add(Patience)
	for {
		sums, err := p.Gauges(`state="pooled"`, underWay()...)
		if err != nil {
			return err.Error()
		}
		var left []string
		for _, name := range underWay() {
			if sums[name] != 0 {
				left = append(left, fmt.Sprintf("%s %v", name, sums[name]))
			}
		}
		if len(left) == 0 {
			return ""
		}
		if time.Now().After(deadline) {
			return "leak: " + strings.Join(left, ", ")
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// SettlesTo waits until the proxy holds no more file descriptors and goroutines
// than before, and describes the difference if it never does. slack is for
// goroutines of the runtime and the admin API that come and go.
func (p *Proxy) SettlesTo(before State, slack int) string {
	deadline := time.Now().Add(Patience)
	for {
		now, err := p.State()
		if err != nil {
			return err.Error()
		}
		if now.FDs <= before.FDs && now.Goroutines <= before.Goroutines+slack {
			return ""
		}
		if time.Now().After(deadline) {
			return fmt.Sprintf("leak: before %v, after %v", before, now)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// A LogLine is one line of Longmen's JSON access log.
type LogLine map[string]any

// Text returns a key as text, and "" if it is missing.
func (l LogLine) Text(key string) string {
	switch v := l[key].(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}

// Flag returns the response flag, and "" if there is none.
func (l LogLine) Flag() string {
	for _, key := range []string{"flag", "flags"} {
		if f := strings.Trim(l.Text(key), "-"); f != "" {
			return f
		}
	}
	return ""
}

// WaitLogs waits until Longmen's access log has a line for each of the paths,
// and returns the last line of each that it found. The log is written behind
// the requests, by intervals.
func (p *Proxy) WaitLogs(paths []string) (map[string]LogLine, error) {
	deadline := time.Now().Add(Patience)
	for {
		lines, err := p.readLog()
		if err != nil && !os.IsNotExist(err) {
			return nil, err
		}
		missing := 0
		for _, path := range paths {
			if lines[path] == nil {
				missing++
			}
		}
		if missing == 0 || time.Now().After(deadline) {
			return lines, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// readLog reads the complete lines of the access log, by path.
func (p *Proxy) readLog() (map[string]LogLine, error) {
	f, err := os.Open(p.Log)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := map[string]LogLine{}
	for br := bufio.NewReader(f); ; {
		line, err := br.ReadString('\n')
		if err != nil {
			return lines, nil
		}
		var l LogLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			return nil, fmt.Errorf("access log line %q: %w", line, err)
		}
		lines[l.Text("path")] = l
	}
}
