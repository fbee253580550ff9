package health

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A check over HTTP/2 is one request on a fresh connection, so it needs no client
// that keeps connections, multiplexes and has goroutines: it writes all it has to
// say at once and reads frames until its stream has ended. Everything received is
// bounded.

const (
	onlyStream = 1        // the first stream of a client (RFC 9113 section 5.1.1)
	maxFrame   = 16 << 10 // what a server may send unasked (RFC 9113 section 4.2)
)

// answer2 is what comes on the stream.
type answer2 interface {
	// fields takes a response's head, interim ones too, or its trailers.
	fields(f *http2.MetaHeadersFrame) error
	data(f *http2.DataFrame) error
	// done tells that nothing more is wanted.
	done() bool
}

// exchange2 sends a request and reads what comes, limit bytes at most.
func exchange2(conn net.Conn, request []byte, limit int64, a answer2) error {
	if _, err := conn.Write(request); err != nil {
		return &networkError{error: fmt.Errorf("send: %w", cause(err))}
	}
	limited := &io.LimitedReader{R: conn, N: limit}
	framer := http2.NewFramer(conn, bufio.NewReaderSize(limited, 4096))
	framer.SetMaxReadFrameSize(maxFrame)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	framer.MaxHeaderListSize = maxFrame
	for !a.done() {
		frame, err := framer.ReadFrame()
		if err != nil {
			return readError2(err, limited.N <= 0, limit)
		}
		if err := take2(framer, frame, a); err != nil {
			return err
		}
	}
	return nil
}

func readError2(err error, tooMuch bool, limit int64) error {
	switch {
	case tooMuch:
		return fmt.Errorf("the response is larger than %d bytes", limit)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return &networkError{error: errors.New("response: closed before it was complete")}
	case errors.As(err, new(*net.OpError)):
		return &networkError{error: fmt.Errorf("response: %w", cause(err))}
	}
	return &networkError{error: errors.New("response: not HTTP/2")} // x/net cites what came
}

// take2 takes one frame of the connection, and answers those that want it.
func take2(framer *http2.Framer, frame http2.Frame, a answer2) error {
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			framer.WriteSettingsAck() // a failure shows in what is read
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			framer.WritePing(true, f.Data)
		}
	case *http2.GoAwayFrame:
		if f.ErrCode != http2.ErrCodeNo || f.LastStreamID < onlyStream {
			return &networkError{error: fmt.Errorf("the server closes the connection (%v)", f.ErrCode)}
		}
	case *http2.RSTStreamFrame:
		if f.StreamID == onlyStream {
			return &networkError{error: fmt.Errorf("the request was reset (%v)", f.ErrCode)}
		}
	case *http2.MetaHeadersFrame:
		switch {
		case f.StreamID != onlyStream:
		case f.Truncated:
			return fmt.Errorf("the response head is larger than %d bytes", maxFrame)
		default:
			return a.fields(f)
		}
	case *http2.DataFrame:
		if f.StreamID == onlyStream {
			return a.data(f)
		}
	}
	return nil
}

// interim reports whether the head is one of 1xx (RFC 9110 section 15.2).
func interim(f *http2.MetaHeadersFrame) bool {
	status := f.PseudoValue("status")
	return len(status) == 3 && status[0] == '1' && !f.StreamEnded()
}

// request2 is everything that the client says: preface, settings, the head of
// a request, and its content.
func request2(fields [][2]string, content []byte) []byte {
	var out, head bytes.Buffer
	out.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&out, nil)
	framer.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 0})
	encoder := hpack.NewEncoder(&head)
	for _, field := range fields {
		encoder.WriteField(hpack.HeaderField{Name: field[0], Value: clean.Replace(field[1])})
	}
	framer.WriteHeaders(http2.HeadersFrameParam{StreamID: onlyStream, BlockFragment: head.Bytes(), EndHeaders: true, EndStream: content == nil})
	if content != nil {
		framer.WriteData(onlyStream, true, content)
	}
	return out.Bytes() // writing to a Buffer does not fail
}

func probeHTTP2(conn net.Conn, c *HTTP, scheme, host string) error {
	a := &httpAnswer{HTTP: c, finder: finder{texts: c.Expect}}
	if err := exchange2(conn, httpRequest2(c, scheme, host), maxHead+2*maxSearch, a); err != nil {
		return err
	}
	if len(c.Expect) > 0 && !a.found {
		return errors.New("the body lacks the expected text")
	}
	return nil
}

// httpRequest2 is the request. Fields of the configuration replace ours; those
// about a connection of HTTP/1.1 are left out (RFC 9113 section 8.2.2).
func httpRequest2(c *HTTP, scheme, host string) []byte {
	fields := map[string]string{"host": host, "user-agent": "longmen-health-check", "accept": "*/*"}
	for name, value := range c.Headers {
		fields[strings.ToLower(name)] = value
	}
	all := [][2]string{
		{":method", cmp.Or(c.Method, http.MethodGet)}, {":scheme", scheme}, {":authority", fields["host"]}, {":path", cmp.Or(c.Path, "/")},
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		switch name {
		case "host", "connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade":
		default:
			all = append(all, [2]string{clean.Replace(name), fields[name]})
		}
	}
	return request2(all, nil)
}

// httpAnswer is what came of the answer to an HTTP check.
type httpAnswer struct {
	*HTTP
	headed, found, over bool
	finder              // of a body that is searched
}

func (a *httpAnswer) done() bool { return a.over }

func (a *httpAnswer) fields(f *http2.MetaHeadersFrame) error {
	if a.headed {
		a.over = a.over || f.StreamEnded() // trailers
		return nil
	}
	if interim(f) {
		return nil
	}
	status, err := strconv.Atoi(f.PseudoValue("status"))
	if err != nil {
		return &networkError{error: errors.New("response: not HTTP/2")}
	}
	a.headed, a.over = true, f.StreamEnded() || len(a.Expect) == 0
	return a.judge(status)
}

func (a *httpAnswer) data(f *http2.DataFrame) error {
	if !a.headed {
		return &networkError{error: errors.New("response: data before the head")}
	}
	a.found = a.take(f.Data())
	// The server's window ends a byte before maxSearch, and is not opened.
	a.over = a.found || f.StreamEnded() || len(a.read) >= maxSearch-1
	return nil
}
