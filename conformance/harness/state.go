package harness

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// A State is what a proxy holds at one moment.
type State struct {
	FDs        int
	Goroutines int   // Longmen only
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
	if s.RSS, err = p.statm(); err != nil || p.Admin == "" {
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
	_, err = io.Copy(io.Discard, res.Body)
	return s, err
}

func (p *Proxy) statm() (int64, error) {
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

// SettlesTo waits until the proxy holds no more file descriptors and goroutines
// than before, and describes the difference if it never does. slack is for
// what a proxy may rightly keep, as idle coroutines in a pool.
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

// WaitLog waits for the access log line that contains mark. The log is written
// behind the requests, by intervals.
func (p *Proxy) WaitLog(mark string) (LogLine, error) {
	deadline := time.Now().Add(Patience)
	for {
		f, err := os.Open(p.Log)
		if err == nil {
			line, found := findLine(f, mark)
			f.Close()
			if found {
				var l LogLine
				if err := json.Unmarshal([]byte(line), &l); err != nil {
					return nil, fmt.Errorf("access log line %q: %w", line, err)
				}
				return l, nil
			}
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("no access log line contains %q", mark)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// findLine returns the last complete line that contains mark.
func findLine(r io.Reader, mark string) (string, bool) {
	br := bufio.NewReader(r)
	last, found := "", false
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			return last, found
		}
		if strings.Contains(line, mark) {
			last, found = line, true
		}
	}
}
