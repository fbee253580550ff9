package harness

import (
	"io"
	"testing"
)

func TestOriginRecords(t *testing.T) {
	o, err := StartOrigin(Echo)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	c, err := Dial(o.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const raw = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nabGET /b HTTP/1.1\r\nHost: h\r\n\r\nPOST /c HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nxy"
	io.WriteString(c, raw)
	for _, want := range []string{"origin POST /a", "origin GET /b"} {
		if res, err := c.Response("GET"); err != nil || string(res.Body) != want {
			t.Fatalf("answer %v, %v; want %q", res, err, want)
		}
	}
	rec := o.Record()
	if len(rec.Requests) != 3 || !rec.Requests[0].Complete || !rec.Requests[1].Complete || rec.Requests[2].Complete {
		t.Errorf("requests %+v, want two whole ones and a part", rec.Requests)
	}
	if len(rec.Raw) != 1 || string(rec.Raw[0]) != raw || len(rec.Violations) != 0 {
		t.Errorf("recorded %q, violations %q", rec.Raw, rec.Violations)
	}
	o.Reset()
	if _, err := Do(o.Addr, "GET / HTTP/1.1\nHost: h\n\n"); err == nil {
		t.Error("a message with bare LF was answered")
	}
	if rec = o.Record(); len(rec.Violations) != 1 || len(rec.Requests) != 0 {
		t.Errorf("violations %q, requests %v; want one violation", rec.Violations, rec.Requests)
	}
}
