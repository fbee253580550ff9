package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"longmen/bench/load"
)

// wholeAbove is the size from which runs are of a number of requests, not of a
// time: of what h2load has begun when the time is over, no one counts it.
const wholeAbove = 1 << 20

// grpcMessage is a gRPC message of 1,024 bytes, with its head.
func grpcMessage() []byte { return append([]byte{0, 0, 0, 4, 0}, make([]byte, 1<<10)...) }

// h2load is the load of HTTP/2: nghttp2's generator.
func (b *Bench) h2load(t *turn, c Case, rate float64, d time.Duration) *generator {
	host := c.Hosts()[0].Name
	if t.rps == 0 {
		d = max(d, time.Second) // its connections take their time
	}
	args := []string{
		"-t", "1", "-c", strconv.Itoa(c.Conns), "-m", strconv.Itoa(c.Streams),
		"--connect-to=127.0.0.1:" + strconv.Itoa(t.site.Port), "-H", "user-agent: longmen-bench",
	}
	if n := t.rps * d.Seconds(); max(c.Body, c.Length) >= wholeAbove && n > 0 {
		args = append(args, "-n", strconv.Itoa(max(int(n), c.Conns*c.Streams)))
	} else {
		args = append(args, "-D", fmt.Sprintf("%dms", d.Milliseconds()))
	}
	log := ""
	if rate > 0 {
		log = filepath.Join(t.site.Dir, "h2load.log")
		args = append(args, "--rps", strconv.FormatFloat(rate/float64(c.Conns), 'f', -1, 64), "--log-file="+log)
	}
	if c.Body > 0 {
		args = append(args, "-d", filepath.Join(b.dir, c.Name+".content"))
	}
	if c.GRPC {
		args = append(args, "-H", "content-type: application/grpc", "-H", "te: trailers")
	}
	scheme := "http"
	if c.TLS != "" {
		scheme = "https"
		args = append(args, "--npn-list=h2", "--groups=X25519", "--tls13-ciphers=TLS_AES_128_GCM_SHA256", "--ciphers=ECDHE-ECDSA-AES128-GCM-SHA256")
	}
	cmd := exec.Command("h2load", append(args, scheme+"://"+host+c.Path)...)
	return &generator{cmd: cmd, read: func(out []byte) (load.Result, error) {
		r, err := parseH2load(string(out))
		if err != nil {
			return r, err
		}
		t.rps = r.RPS
		used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		r.Busy = used.Seconds() / max(r.Seconds, 1e-9)
		if log == "" {
			return r, nil
		}
		defer os.Remove(log)
		r.Latency, err = readH2loadLog(log)
		return r, err
	}}
}

// writeContent writes what h2load is to send, if anything.
func (b *Bench) writeContent(c Case) error {
	if !c.HTTP2 || c.Body == 0 {
		return nil
	}
	content := bytes.Repeat([]byte("x"), int(c.Body))
	if c.GRPC {
		content = grpcMessage()
	}
	return os.WriteFile(filepath.Join(b.dir, c.Name+".content"), content, 0o644)
}

var (
	h2loadFinished = regexp.MustCompile(`finished in ([0-9.]+)(s|ms|us), ([0-9.]+) req/s`)
	h2loadRequests = regexp.MustCompile(`requests: \d+ total, \d+ started, \d+ done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout`)
	h2loadStatus   = regexp.MustCompile(`status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx`)
	h2loadTraffic  = regexp.MustCompile(`traffic: \S+ \((\d+)\) total`)
)

// parseH2load reads what h2load prints. Among the failed ones are those with a
// status from 400, the errored ones and, of these, those that timed out.
func parseH2load(text string) (r load.Result, err error) {
	finished, requests := h2loadFinished.FindStringSubmatch(text), h2loadRequests.FindStringSubmatch(text)
	status, traffic := h2loadStatus.FindStringSubmatch(text), h2loadTraffic.FindStringSubmatch(text)
	if finished == nil || requests == nil || status == nil || traffic == nil {
		return r, fmt.Errorf("h2load says %q", text[max(0, len(text)-500):])
	}
	number := func(s string) uint64 { // digits, by the expressions
		n, e := strconv.ParseUint(s, 10, 64)
		err = errors.Join(err, e)
		return n
	}
	r.Status = map[string]uint64{}
	for i, class := range []string{"2xx", "3xx", "4xx", "5xx"} {
		if n := number(status[i+1]); n > 0 {
			r.Status[class] = n
		}
	}
	r.Requests, r.BytesIn = r.Status["2xx"], number(traffic[1])
	succeeded, failed := number(requests[1]), number(requests[2])
	r.Errors = failed + succeeded - min(succeeded, r.Requests)
	if r.Errors > 0 {
		r.ErrorKinds = map[string]uint64{"failed": failed, "errored": number(requests[3]), "timeout": number(requests[4])}
		r.FirstError = fmt.Sprint(r.Status)
	}
	if r.Seconds, err = strconv.ParseFloat(finished[1], 64); err != nil {
		return r, err
	}
	r.Seconds /= map[string]float64{"s": 1, "ms": 1e3, "us": 1e6}[finished[2]]
	if r.RPS, err = strconv.ParseFloat(finished[3], 64); err != nil {
		return r, err
	}
	return r, err
}

// readH2loadLog reads the latencies of all answered requests.
func readH2loadLog(name string) (l load.Latency, err error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return l, err
	}
	var all []float64
	for line := range bytes.Lines(text) {
		f := bytes.Fields(line)
		if len(f) < 3 {
			return l, fmt.Errorf("h2load's log has a line %q", line)
		}
		if us, err := strconv.ParseFloat(string(f[2]), 64); err == nil && string(f[1]) == "200" {
			all = append(all, us)
		}
	}
	if len(all) == 0 {
		return l, errors.New("h2load's log has no answered request")
	}
	slices.Sort(all)
	at := func(q float64) float64 { return all[min(len(all)-1, int(q*float64(len(all))))] }
	return load.Latency{P50: at(0.5), P90: at(0.9), P99: at(0.99), P999: at(0.999), Max: all[len(all)-1]}, nil
}

// ask2 makes the case's request by Go's own HTTP/2 client. found tells a good
// answer of the origin from anybody else's.
func (t *turn) ask2(ctx context.Context, c Case, host string, transport *http.Transport) (found bool, said string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	transport.Protocols = new(http.Protocols)
	scheme := "http"
	if c.TLS != "" {
		scheme = "https"
		transport.Protocols.SetHTTP2(true)
	} else {
		transport.Protocols.SetUnencryptedHTTP2(true)
	}
	defer transport.CloseIdleConnections()
	method, body, path, want := http.MethodGet, io.Reader(nil), "/1k", int64(1<<10)
	if c.GRPC {
		method, body, path, want = http.MethodPost, bytes.NewReader(grpcMessage()), c.Path, int64(len(grpcMessage()))
	}
	req, err := http.NewRequestWithContext(ctx, method, fmt.Sprintf("%s://127.0.0.1:%d%s", scheme, t.site.Port, path), body)
	if err != nil {
		return false, "", err
	}
	req.Host = host
	if c.GRPC {
		req.Header.Set("Content-Type", "application/grpc")
		req.Header.Set("Te", "trailers")
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return false, "", err
	}
	defer res.Body.Close()
	size, err := io.Copy(io.Discard, res.Body)
	if err != nil {
		return false, "", err
	}
	found = res.ProtoMajor == 2 && res.StatusCode == http.StatusOK && size == want && (!c.GRPC || res.Trailer.Get("Grpc-Status") == "0")
	return found, fmt.Sprintf("HTTP/%d, %d with %d bytes, trailers %v", res.ProtoMajor, res.StatusCode, size, res.Trailer), nil
}

// originHolds asks the origin how many requests it holds.
func (b *Bench) originHolds(ctx context.Context, c Case) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.place(c).origin.String()+"/held", nil)
	if err != nil {
		return 0, err
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 100))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// awaitHeld returns when the origin holds n requests.
func (b *Bench) awaitHeld(ctx context.Context, c Case, n int) error {
	for deadline := time.Now().Add(30 * time.Second); ; {
		got, err := b.originHolds(ctx, c)
		if err != nil || got == n {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the origin holds %d requests, not %d", got, n)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// printHTTP2 sets Longmen's CPU time over each peer's, for all cases over
// HTTP/2.
func (r *Report) printHTTP2(w io.Writer) {
	names := []string{"longmen", "nginx", "haproxy", "h2o", "nghttpx"}
	var rows strings.Builder
	t := newTable(&rows)
	fmt.Fprintf(t, "case\t%s\t", strings.Join(names, "\t"))
	for _, name := range names[1:] {
		fmt.Fprintf(t, "/ %s\t", name)
	}
	fmt.Fprintln(t)
	n := 0
	for _, c := range r.Cases {
		if !c.HTTP2 || math.IsNaN(c.cpu("longmen")) {
			continue
		}
		n++
		fmt.Fprintf(t, "%s\t", c.Name)
		figure := func(v float64) {
			if math.IsNaN(v) {
				fmt.Fprint(t, "-\t")
			} else {
				fmt.Fprintf(t, "%.2f\t", v)
			}
		}
		for _, name := range names {
			figure(c.cpu(name))
		}
		for _, name := range names[1:] {
			figure(c.cpu("longmen") / c.cpu(name))
		}
		fmt.Fprintln(t)
	}
	t.Flush()
	if n > 0 {
		fmt.Fprintf(w, "\nHTTP/2: CPU µs a request; Longmen over each peer\n%s", rows.String())
	}
}
