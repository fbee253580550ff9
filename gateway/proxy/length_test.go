package proxy

import (
	"strings"
	"testing"

	"longmen/gateway/filter"
	"longmen/gateway/router"
	"longmen/gateway/stream"
)

// A body of unknown length that is at hand as a whole goes to an endpoint of
// HTTP/1 with its length.
func TestLengthOfWhatIsAtHand(t *testing.T) {
	for _, content := range []string{"whole", ""} {
		heads := make(chan string, 1)
		o := newOrigin(t, func(p *peer, _ int) {
			heads <- p.head()
			p.ok("")
			p.ended()
		})
		f := filterFunc(func(s *stream.Stream, next stream.Handler) (*stream.Response, error) {
			s.Request.Body, s.Request.Length = stream.NewBytes([]byte(content)), -1
			return next(s)
		})
		s := newStage(t, settings{routes: []*router.Route{to("/", nil)}, chain: filter.Chain{{Name: "test", Filter: f}}}.with(o))
		c := s.dial()
		c.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n", 0)
		c.answer("POST")
		head := <-heads
		if length := strings.Contains(head, "content-length: 5\r\n"); length != (content != "") || strings.Contains(head, "transfer-encoding") {
			t.Errorf("%q goes as %q", content, head)
		}
		c.Close()
		s.quiet()
	}
}
