package http1

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"longmen/conformance/harness"
)

const after = "GET /after HTTP/1.1\r\nHost: h\r\n\r\n"

// runResponse has the origin answer with a vector's bytes, and judges what the
// client receives; then a second request must get its own answer.
func runResponse(v *vector, p *harness.Proxy, o *harness.Origin) string {
	o.Reset()
	end, ok := v.get("end")
	if !ok {
		end = "close"
	}
	o.SetScript(func(x *harness.Exchange) {
		if x.ReadBody() != nil || x.Request.Target == "/after" {
			harness.Echo(x)
			return
		}
		x.Write([]byte(v.raw))
		if end == "close" {
			// The proxy is to find the end after the bytes, not a reset.
			x.CloseWrite()
			x.Hold()
		}
	})
	c, err := harness.Dial(p.Addr)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	req, ok := v.get("req")
	if !ok {
		req = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	}
	io.WriteString(c, req)
	method, _, _ := strings.Cut(req, " ")
	res, err := c.Response(method)
	if fault := judgeResponse(v, res, err); fault != "" {
		return fault
	}
	return secondAnswer(c, p, err == nil && res.Status != 101)
}

func judgeResponse(v *vector, res *harness.Response, err error) string {
	refused := res != nil && err == nil && res.Status >= 500 && res.Status != v.number("status", 0)
	switch v.class {
	case mustReject:
		if !refused {
			return fmt.Sprintf("not refused: %s", describe(res, err))
		}
	case mustBreak:
		if harness.IsTimeout(err) {
			return "hang: " + describe(res, err)
		}
		if !refused && err == nil {
			return "delivered as if it were whole: " + describe(res, err)
		}
		if res == nil {
			return "nothing delivered: " + describe(res, err)
		}
	case may:
		if refused {
			break
		}
		fallthrough
	default:
		if err != nil || res == nil {
			return "not delivered: " + describe(res, err)
		}
		for _, k := range v.keys {
			if fault := judgeResponseKey(k, res); fault != "" {
				return fault
			}
		}
	}
	if refused && len(v.statuses) > 0 && !slices.Contains(v.statuses, res.Status) {
		return fmt.Sprintf("refused with %d, want %v", res.Status, v.statuses)
	}
	return ""
}

func judgeResponseKey(k key, res *harness.Response) string {
	switch k.name {
	case "status":
		if strconv.Itoa(res.Status) != k.value {
			return fmt.Sprintf("status %d, want %s", res.Status, k.value)
		}
	case "1xx":
		if got := strings.Trim(fmt.Sprint(res.Informational), "[]"); got != k.value {
			return fmt.Sprintf("informational %q, want %q", got, k.value)
		}
	default:
		return judgeMessage(k, &res.Head, res.Body, res.BodySize, res.Trailers)
	}
	return ""
}

func describe(res *harness.Response, err error) string {
	if res == nil {
		return fmt.Sprintf("no response, %v", err)
	}
	return fmt.Sprintf("status %d, fields %q, body %q, %v", res.Status, res.Fields, res.Body, err)
}

// secondAnswer checks that nothing of the first response is left over: on the
// same connection if it is still open, and on a new one.
func secondAnswer(c *harness.Client, p *harness.Proxy, open bool) string {
	const want = "origin GET /after"
	if open {
		io.WriteString(c, after)
		res, err := c.Response("GET")
		switch {
		case res == nil && !harness.IsTimeout(err) && c.R.Buffered() == 0: // closed, which is well
		case err != nil || string(res.Body) != want:
			return "the next request on the connection: " + describe(res, err)
		}
	}
	res, err := harness.Do(p.Addr, after)
	if err != nil || string(res.Body) != want {
		return "the next request: " + describe(res, err)
	}
	return ""
}
