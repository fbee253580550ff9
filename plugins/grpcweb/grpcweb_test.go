package grpcweb

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// pieces is a body that comes in pieces.
type pieces struct {
	list    []string
	trailer *stream.Header
}

func (p *pieces) Next(*worker.Coroutine) ([]byte, error) {
	if len(p.list) == 0 {
		return nil, io.EOF
	}
	first := p.list[0]
	p.list = p.list[1:]
	return []byte(first), nil
}
func (p *pieces) Buffered() ([]byte, bool) { return nil, false }
func (p *pieces) Stop()                    { p.list = nil }
func (p *pieces) Trailer() *stream.Header  { return p.trailer }

func drain(b stream.Body) (all []string, err error) {
	for b != nil {
		p, err := b.Next(nil)
		if err == io.EOF {
			break
		}
		if err != nil {
			return all, err
		}
		all = append(all, string(p))
	}
	return all, nil
}

func trailers(fields ...string) *stream.Header {
	h := &stream.Header{}
	for i := 0; i < len(fields); i += 2 {
		h.AddString(fields[i], fields[i+1])
	}
	return h
}

// serve sends a call through the filter; the server sees sent and answers.
func serve(t *testing.T, contentType, accept string, body []string, answer func(s *stream.Stream) (*stream.Response, error)) (s *stream.Stream, sent string, resp *stream.Response, failed error) {
	t.Helper()
	s = &stream.Stream{}
	r := &s.Request
	r.Method = []byte("POST")
	r.Header.AddString("content-type", contentType)
	if accept != "" {
		r.Header.AddString("accept", accept)
	}
	if body != nil {
		r.Body, r.Length = &pieces{list: body}, int64(len(strings.Join(body, "")))
	}
	resp, err := translator{}.Serve(s, func(s *stream.Stream) (*stream.Response, error) {
		all, err := drain(s.Request.Body)
		if err != nil {
			failed = err
		}
		sent = strings.Join(all, "|")
		return answer(s)
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, sent, resp, failed
}

func grpcAnswer(messages ...string) func(s *stream.Stream) (*stream.Response, error) {
	return func(s *stream.Stream) (*stream.Response, error) {
		resp := s.Respond(200, "", nil)
		resp.Header.AddString("content-type", "application/grpc+proto")
		resp.Body, resp.Length = &pieces{list: messages, trailer: trailers("grpc-status", "0", "x-a", "b")}, -1
		return resp, nil
	}
}

const trailerFrame = "\x80\x00\x00\x00\x18grpc-status: 0\r\nx-a: b\r\n"

func TestBinary(t *testing.T) {
	s, sent, resp, _ := serve(t, "application/grpc-web+proto", "", []string{"\x00\x00\x00\x00\x01a", "b"}, grpcAnswer("\x00\x00\x00\x00\x01x", "\x00\x00\x00\x00\x01y"))
	all, err := drain(resp.Body)
	if sent != "\x00\x00\x00\x00\x01a|b" || err != nil || strings.Join(all, "|") != "\x00\x00\x00\x00\x01x|\x00\x00\x00\x00\x01y|"+trailerFrame {
		t.Errorf("%q %q %v", sent, all, err)
	}
	r := &s.Request
	if string(r.Header.Get("content-type")) != "application/grpc+proto" || !r.Trailers || !s.Reroute || r.Length != 7 || !r.GRPC() {
		t.Errorf("%+v", r)
	}
	if string(resp.Header.Get("content-type")) != "application/grpc-web+proto" || resp.Length != -1 || resp.Body.Trailer() != nil {
		t.Errorf("%+v", resp)
	}
}

// In the text form every piece goes out by itself.
func TestText(t *testing.T) {
	text := base64.StdEncoding.EncodeToString
	for _, split := range [][]string{{text([]byte("hello")), text([]byte("x"))}, {"a", "GVs", "bG8", "=", "eA", "=="}, {text([]byte("hello")) + text([]byte("x"))}} {
		s, sent, resp, err := serve(t, "application/grpc-web-text", "application/grpc-web-text", split, grpcAnswer("m1", "m23"))
		if err != nil || strings.ReplaceAll(sent, "|", "") != "hellox" || s.Request.Length != -1 {
			t.Errorf("%q: %q, %v", split, sent, err)
		}
		all, err := drain(resp.Body)
		if want := strings.Join([]string{text([]byte("m1")), text([]byte("m23")), text([]byte(trailerFrame))}, "|"); err != nil || strings.Join(all, "|") != want {
			t.Errorf("%q %v", all, err)
		}
		if string(resp.Header.Get("content-type")) != "application/grpc-web-text+proto" {
			t.Errorf("%+v", resp)
		}
	}
}

func TestMalformedText(t *testing.T) {
	for _, body := range []string{"a", "aGV", "a===", "====", "a=bc", "aG!s", "aGV\ns", "aGVs\n", "\r\n\r\n", "aGVsbG8=x"} {
		for _, pieces := range [][]string{{body}, strings.Split(body, "")} {
			_, _, _, err := serve(t, "application/grpc-web-text", "", pieces, grpcAnswer())
			if e := stream.AsError(err); err == nil || e.Status != 400 || e.Side != stream.Downstream {
				t.Errorf("%q: %v", pieces, err)
			}
		}
	}
	whole := "aGVsbG8=eA=="
	for i := range len(whole) {
		_, _, _, err := serve(t, "application/grpc-web-text", "", []string{whole[:i]}, grpcAnswer())
		if (err == nil) != (i%4 == 0) {
			t.Errorf("%q: %v", whole[:i], err)
		}
	}
}

func TestForms(t *testing.T) {
	for _, c := range []struct{ contentType, accept, want string }{
		{"application/grpc-web", "", "application/grpc-web+proto"},
		{"application/grpc-web", "*/*", "application/grpc-web+proto"},
		{"application/grpc-web-text", "*/*", "application/grpc-web-text+proto"},
		{"application/grpc-web-text+proto", "application/grpc-web", "application/grpc-web+proto"},
		{"Application/GRPC-Web+json; charset=utf-8", "text/html, application/grpc-web-text;q=1", "application/grpc-web-text+proto"},
	} {
		s, _, resp, _ := serve(t, c.contentType, c.accept, nil, grpcAnswer())
		if got := string(resp.Header.Get("content-type")); got != c.want {
			t.Errorf("%s, %s: %s", c.contentType, c.accept, got)
		}
		if strings.Contains(c.contentType, "json") && string(s.Request.Header.Get("content-type")) != "application/grpc+json" {
			t.Errorf("%s", s.Request.Header.Get("content-type"))
		}
	}
	for _, other := range []string{"application/json", "application/grpc", "application/grpc-web-texts", "application/grpc-webs", ""} {
		s, _, resp, _ := serve(t, other, "", []string{"x"}, grpcAnswer("y"))
		if got := string(resp.Header.Get("content-type")); got != "application/grpc+proto" || s.Reroute {
			t.Errorf("%s: %s", other, got)
		}
	}
}

type replier struct{}

func (replier) LocalReply(s *stream.Stream, e *stream.Error) *stream.Response {
	resp := s.Respond(200, "", nil)
	resp.Header.AddString("content-type", "application/grpc")
	resp.Header.AddString("grpc-status", "14")
	return resp
}

func TestAnswersWithoutMessages(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(s *stream.Stream) (*stream.Response, error)
		want   string
	}{
		"trailers only": {func(s *stream.Stream) (*stream.Response, error) {
			resp := s.Respond(200, "", nil)
			resp.Header.AddString("content-type", "application/grpc")
			resp.Header.AddString("grpc-status", "5")
			return resp, nil
		}, "200 application/grpc-web+proto 5 "},
		"local reply": {func(s *stream.Stream) (*stream.Response, error) {
			s.Replier = replier{}
			return nil, &stream.Error{Status: 503, Cause: errors.New("no endpoint")}
		}, "200 application/grpc-web+proto 14 "},
		"foreign": {func(s *stream.Stream) (*stream.Response, error) {
			return s.Respond(503, "text/plain", []byte("down\nfor repairs")), nil
		}, "200 application/grpc-web+proto 14 down%0Afor repairs"},
		"page": {func(s *stream.Stream) (*stream.Response, error) {
			return s.Respond(404, "text/html", []byte("<html>")), nil
		}, "200 application/grpc-web+proto 12 the server answered Not Found and no gRPC"},
	} {
		_, _, resp, _ := serve(t, "application/grpc-web", "", nil, c.answer)
		got := fmt.Sprintf("%d %s %s %s", resp.Status, resp.Header.Get("content-type"), resp.Header.Get("grpc-status"), resp.Header.Get("grpc-message"))
		if got != c.want || resp.Body != nil {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("aGVsbG8=eA==", 3)
	f.Add("====", 1)
	f.Add("aGVs\r\n", 2)
	f.Fuzz(func(t *testing.T, text string, n int) {
		n = max(n&7, 1)
		var list []string
		for rest := text; rest != ""; {
			k := min(n, len(rest))
			list, rest = append(list, rest[:k]), rest[k:]
		}
		whole, err := drain(&decoder{Body: &pieces{list: []string{text}}})
		parts, other := drain(&decoder{Body: &pieces{list: list}})
		if strings.Join(whole, "") != strings.Join(parts, "") && err == nil || (err == nil) != (other == nil) {
			t.Errorf("%q by %d: %q, %v; %q, %v", text, n, whole, err, parts, other)
		}
	})
}
