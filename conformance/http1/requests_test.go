package http1

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"longmen/conformance/harness"
)

// marker follows every request that must be refused. It must never be served,
// and its bytes must never reach the origin.
const marker = "GET /after-refused HTTP/1.1\r\nHost: h\r\n\r\n"

// runRequest sends one request vector and returns what is wrong, or "".
func runRequest(v *vector, p *harness.Proxy, o *harness.Origin) string {
	o.Reset()
	c, err := harness.Dial(p.Addr)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	raw := v.raw
	_, ends := v.get("end")
	if v.class == mustReject && !ends {
		raw += marker
	}
	// A refusal may close the connection before all is written: the answer tells.
	io.WriteString(c, raw)
	if ends {
		c.CloseWrite()
	}
	method, _, _ := strings.Cut(v.raw, " ")
	n := v.number("n", defaultCount(v.class))
	var got []*harness.Response
	var end error
	for {
		var res *harness.Response
		if res, end = c.Response(method); res == nil || end != nil {
			break
		}
		got = append(got, res)
		if done(v, n, got, res) {
			break
		}
	}
	rec := o.Record()
	if fault := clean(v, rec); fault != "" {
		return fault
	}
	refused := end != nil || len(got) > 0 && got[len(got)-1].Status >= 400
	if v.class == mustReject || v.class == may && refused {
		return judgeRefusal(v, got, end, rec)
	}
	return judgeDelivery(v, n, got, end, rec)
}

// done says that no more responses are to come, or that enough are seen. A
// refusal is read on, to the end of the connection, unless it was optional and
// promises to keep the connection.
func done(v *vector, n int, got []*harness.Response, last *harness.Response) bool {
	switch v.class {
	case mustReject:
		return last.Status < 400 && len(got) > n
	case may:
		connection, _ := last.Get("Connection")
		return last.Status >= 400 && !strings.EqualFold(connection, "close") || len(got) == n && last.Status < 400
	default:
		return len(got) == n
	}
}

func defaultCount(c class) int {
	if c == mustReject {
		return 0
	}
	return 1
}

// clean says what no proxy may do, whatever the case.
func clean(v *vector, rec harness.Record) string {
	if len(rec.Violations) > 0 {
		return fmt.Sprintf("the origin received a message that is not well formed: %s; raw: %q", rec.Violations[0], rec.Raw)
	}
	for _, b := range rec.Raw {
		if v.class == mustReject && bytes.Contains(b, []byte("/after-refused")) {
			return fmt.Sprintf("what follows a refused request reached the origin: %q", b)
		}
	}
	return ""
}

func judgeRefusal(v *vector, got []*harness.Response, end error, rec harness.Record) string {
	_, cut := v.get("end")
	n := v.number("n", 0)
	if v.class == may {
		n = 0
	}
	complete := 0
	for _, r := range rec.Requests {
		if r.Complete {
			complete++
		}
	}
	switch {
	case complete != n:
		return fmt.Sprintf("%d whole requests reached the origin, want %d: %q", complete, n, rec.Raw)
	case harness.IsTimeout(end):
		return fmt.Sprintf("hang: the connection stays open after statuses %v", statuses(got))
	case cut && len(got) == n: // a client that went away need not be answered
		return ""
	case len(got) != n+1:
		return fmt.Sprintf("statuses %v (then %v), want %d served and one refusal", statuses(got), end, n)
	}
	s := got[n].Status
	if len(v.statuses) > 0 && !slices.Contains(v.statuses, s) || s < 400 {
		return fmt.Sprintf("refused with %d, want %v", s, v.statuses)
	}
	var bad *harness.Violation
	if errors.As(end, &bad) {
		return "after the refusal the client received no HTTP: " + bad.Error()
	}
	return ""
}

func judgeDelivery(v *vector, n int, got []*harness.Response, end error, rec harness.Record) string {
	if end != nil || got[len(got)-1].Status >= 400 {
		return fmt.Sprintf("statuses %v, then %v; the origin received %q", statuses(got), end, rec.Raw)
	}
	if len(rec.Requests) != n {
		return fmt.Sprintf("%d requests reached the origin, want %d: %q", len(rec.Requests), n, rec.Raw)
	}
	for i, r := range rec.Requests {
		if !r.Complete {
			return fmt.Sprintf("request %d reached the origin in part: %q", i+1, rec.Raw)
		}
	}
	r := rec.Requests[0]
	for _, k := range v.keys {
		switch k.name {
		case "method":
			if r.Method != k.value {
				return fmt.Sprintf("method %q, want %q", r.Method, k.value)
			}
		case "target":
			if r.Target != k.value {
				return fmt.Sprintf("target %q, want %q", r.Target, k.value)
			}
		default:
			if fault := judgeMessage(k, &r.Head, r.Body, r.BodySize, r.Trailers); fault != "" {
				return fault
			}
		}
	}
	return ""
}

// judgeMessage checks the keys that requests and responses share.
func judgeMessage(k key, h *harness.Head, body []byte, size int64, trailers []harness.Field) string {
	switch {
	case k.name == "body":
		if string(body) != k.value {
			return fmt.Sprintf("body %q, want %q", body, k.value)
		}
	case k.name == "size":
		if fmt.Sprint(size) != k.value {
			return fmt.Sprintf("body of %d bytes, want %s", size, k.value)
		}
	case strings.HasPrefix(k.name, "h:"):
		if got, _ := h.Get(k.name[2:]); got != k.value {
			return fmt.Sprintf("%s: %q, want %q", k.name[2:], got, k.value)
		}
	case strings.HasPrefix(k.name, "-h:"):
		if got, ok := h.Get(k.name[3:]); ok {
			return fmt.Sprintf("%s: %q, want none", k.name[3:], got)
		}
	case strings.HasPrefix(k.name, "t:"):
		t := harness.Head{Fields: trailers}
		// A trailer may be dropped (RFC 9110, section 6.5.1), never changed.
		if got, ok := t.Get(k.name[2:]); ok && got != k.value {
			return fmt.Sprintf("trailer %s: %q, want %q", k.name[2:], got, k.value)
		}
	}
	return ""
}

func statuses(rs []*harness.Response) []int {
	var ss []int
	for _, r := range rs {
		ss = append(ss, r.Status)
	}
	return ss
}
