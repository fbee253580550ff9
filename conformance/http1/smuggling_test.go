package http1

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"longmen/conformance/harness"
)

// How a case of the smuggling corpus may end.
const (
	verdictSmuggled = "smuggled" // two parties read the bytes in two ways
	verdictCrashed  = "crashed"  // the proxy died
	verdictHang     = "hang"     // neither an answer nor an end
)

// quiet is how long a proxy that waits for more bytes is left waiting, before
// the client ends its half. No verdict hangs on it.
const quiet = time.Second

// A mutation is one request whose framing is in doubt, and the readings of it
// that RFC 9112 allows. It may always be refused.
type mutation struct {
	name   string
	head   string // after the request line and Host, each line with its end
	body   string
	proto  string // "HTTP/1.1" if empty
	data   string // the body's data, read as chunks
	byTE   bool   // may be read as chunked
	byCL   bool   // may be read as of the content-length
	noBody bool   // may be read as a request without a body
}

// runMutation sends one mutation and, on the same connection, the request
// /next, and holds what the origin received against what the client was told.
func runMutation(m *mutation, id int, p *harness.Proxy, o *harness.Origin) string {
	o.Reset()
	c, err := harness.Dial(p.Addr)
	if err != nil {
		return verdictCrashed + ": " + err.Error()
	}
	defer c.Close()
	proto := m.proto
	if proto == "" {
		proto = "HTTP/1.1"
	}
	first := fmt.Sprintf("/first/%d", id)
	raw := fmt.Sprintf("POST %s %s\r\nHost: h\r\n%s\r\n%s", first, proto, m.head, m.body) +
		fmt.Sprintf("GET /next/%d HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", id)
	io.WriteString(c, raw)
	// The proxy is to end the connection: after /next, or after a refusal. If
	// it waits for more, the client's end shows what it made of the bytes.
	answers, end := readAll(c, quiet)
	if harness.IsTimeout(end) {
		c.CloseWrite()
		var more []*harness.Response
		more, end = readAll(c, harness.Patience)
		answers = append(answers, more...)
	}
	if !p.Alive() {
		return verdictCrashed
	}
	rec := o.Record()
	if fault := m.judge(id, first, answers, rec); fault != "" {
		return verdictSmuggled + ": " + fault + fmt.Sprintf("; sent %.400q, the origin received %.600q, the client %v", raw, rec.Raw, statuses(answers))
	}
	if harness.IsTimeout(end) {
		return fmt.Sprintf("%s: sent %.400q, statuses %v", verdictHang, raw, statuses(answers))
	}
	return ""
}

func (m *mutation) judge(id int, first string, answers []*harness.Response, rec harness.Record) string {
	if len(rec.Violations) > 0 {
		return "the origin received a message that can be read in two ways: " + rec.Violations[0]
	}
	// What the client takes for answers of the origin are the requests it knows of.
	served := 0
	for i, a := range answers {
		if !bytes.HasPrefix(a.Body, []byte("origin ")) {
			if i != len(answers)-1 {
				return fmt.Sprintf("answer %d of %d was a refusal (%d), and the connection went on", i+1, len(answers), a.Status)
			}
			continue
		}
		served++
	}
	var whole []*harness.Request
	for _, r := range rec.Requests {
		if r.Complete {
			whole = append(whole, r)
		}
	}
	if len(whole) != served {
		return fmt.Sprintf("%d requests reached the origin, %d were answered", len(whole), served)
	}
	for i, r := range whole {
		if want := "origin " + r.Method + " " + r.Target; string(answers[i].Body) != want {
			return fmt.Sprintf("answer %d is %q, and the origin's request was %s", i+1, answers[i].Body, r.Target)
		}
	}
	if len(whole) == 0 {
		return ""
	}
	if whole[0].Target != first {
		return "the first request to reach the origin is " + whole[0].Target
	}
	return m.judgeReading(id, whole)
}

// judgeReading checks that the first request's body, and what came as requests
// after it, follow from one of the readings that are allowed.
func (m *mutation) judgeReading(id int, whole []*harness.Request) string {
	body := string(whole[0].Body)
	var readings []string
	if m.byCL && body == m.body {
		readings = append(readings, "content-length")
	}
	if m.byTE && body == m.data {
		readings = append(readings, "chunked")
	}
	if m.noBody && body == "" {
		readings = append(readings, "no body")
	}
	if len(readings) == 0 {
		return fmt.Sprintf("the origin received the body %q, which no allowed reading gives", body)
	}
	for _, r := range whole[1:] {
		inner := strings.HasPrefix(r.Target, "/inner")
		if inner && len(readings) == 1 && readings[0] == "content-length" {
			return "a request out of the body reached the origin: " + r.Target
		}
		if !inner && r.Target != fmt.Sprintf("/next/%d", id) {
			return "a request that was not sent reached the origin: " + r.Target
		}
	}
	return ""
}

// readAll reads responses until the connection ends or is quiet for that long.
func readAll(c *harness.Client, patience time.Duration) ([]*harness.Response, error) {
	var got []*harness.Response
	for {
		c.WaitAtMost(patience)
		res, err := c.Response("GET")
		if err != nil {
			var v *harness.Violation
			if errors.As(err, &v) {
				// Not HTTP: no answer that counts.
				return got, io.EOF
			}
			return got, err
		}
		got = append(got, res)
	}
}

func TestSmuggling(t *testing.T) {
	corpus := smugglingCorpus()
	for _, kind := range harness.Kinds() {
		t.Run(kind, func(t *testing.T) { smuggle(t, kind, corpus) })
	}
}

// lanes are proxies that work through the corpus side by side: most of the
// time goes into waiting for proxies that wait.
const lanes = 4

func smuggle(t *testing.T, kind string, corpus []*mutation) {
	if !harness.Full() {
		corpus = sample(corpus, 4)
	}
	verdicts := make([]harness.Verdict, len(corpus))
	var wg sync.WaitGroup
	for lane := range lanes {
		p, o := start(t, kind)
		wg.Go(func() {
			for i := lane; i < len(corpus); i += lanes {
				verdicts[i] = harness.Verdict{Name: "smuggling/" + corpus[i].name, Fault: runMutation(corpus[i], i, p, o)}
			}
		})
	}
	wg.Wait()
	harness.Report(t, "smuggling", kind, verdicts)
}

// sample takes every nth, the same ones in each run.
func sample(corpus []*mutation, n int) []*mutation {
	var some []*mutation
	for i := 0; i < len(corpus); i += n {
		some = append(some, corpus[i])
	}
	return some
}
