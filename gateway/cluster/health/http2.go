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

// A check over HTTP/2 is one request at a time, so it needs no client that
// multiplexes and has goroutines: it writes all it has to say at once and reads
// frames until its stream has ended. Everything received is bounded.

const maxFrame = 16 << 10 // what a server may send unasked (RFC 9113 section 4.2)

// answer2 is what comes on the stream.
type answer2 interface {
	// fields takes a response's head, interim ones too, or its trailers.
	fields(f *http2.MetaHeadersFrame) error
	data(f *http2.DataFrame) error
	// done tells that nothing more is wanted.
	done() bool
}

// client2 is the client's side of a connection of HTTP/2.
type client2 struct {
	conn     net.Conn
	limited  io.LimitedReader
	framer   *http2.Framer
	out      bytes.Buffer // what is said next
	say      *http2.Framer
	encoder  *hpack.Encoder
	block    bytes.Buffer
	stream   uint32 // of the present check
	received uint32 // bytes that the server's window of the connection lacks
	ended    bool   // the stream has
	away     bool   // the server wants no other
	over     bool   // no other may begin, or it is not known in what state the connection is
}

func newClient2(conn net.Conn) *client2 {
	k := &client2{conn: conn, limited: io.LimitedReader{R: conn}}
	k.framer = http2.NewFramer(conn, bufio.NewReaderSize(&k.limited, 1024))
	k.framer.SetMaxReadFrameSize(maxFrame)
	k.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	k.framer.MaxHeaderListSize = maxFrame
	k.say, k.encoder = http2.NewFramer(&k.out, nil), hpack.NewEncoder(&k.block)
	k.out.WriteString(http2.ClientPreface)
	k.say.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 0}) // writing to a Buffer does not fail
	return k
}

// exchange sends a request and reads what comes, limit bytes at most.
func (k *client2) exchange(fields [][2]string, content []byte, limit int64, a answer2) error {
	k.ask(fields, content)
	k.over = true // until it has gone well
	if _, err := k.conn.Write(k.out.Bytes()); err != nil {
		return &networkError{error: fmt.Errorf("send: %w", cause(err))}
	}
	k.out.Reset()
	k.limited.N = limit
	for !a.done() {
		frame, err := k.framer.ReadFrame()
		if err != nil {
			return readError2(err, k.limited.N <= 0, limit)
		}
		if err := k.take(frame, a); err != nil {
			return err
		}
	}
	k.well()
	return nil
}

// well notes that the connection is as it should be.
func (k *client2) well() { k.over = k.away || k.stream > 1<<30 }

// judged is what an answer came to, which says nothing against the connection.
func (k *client2) judged(err error) error {
	if _, network := err.(*networkError); err != nil && !network {
		k.well()
	}
	return err
}

// ask writes down a request: its head, and its content if there is any.
func (k *client2) ask(fields [][2]string, content []byte) {
	if k.stream == 0 {
		k.stream = 1 // the first stream of a client (RFC 9113 section 5.1.1)
	} else {
		k.stream += 2
	}
	k.ended = false
	k.block.Reset()
	for _, field := range fields {
		k.encoder.WriteField(hpack.HeaderField{Name: field[0], Value: clean.Replace(field[1])})
	}
	k.say.WriteHeaders(http2.HeadersFrameParam{StreamID: k.stream, BlockFragment: k.block.Bytes(), EndHeaders: true, EndStream: len(content) == 0})
	if len(content) > 0 {
		k.say.WriteData(k.stream, true, content)
	}
}

// rest makes the connection ready for another check, and tells whether there can be one.
// What there is to say for that goes with the next request.
func (k *client2) rest() bool {
	if !k.ended {
		k.say.WriteRSTStream(k.stream, http2.ErrCodeCancel)
	}
	if k.received > 0 {
		k.say.WriteWindowUpdate(0, k.received)
		k.received = 0
	}
	return !k.over
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

// take takes one frame of the connection, and answers those that want it.
func (k *client2) take(frame http2.Frame, a answer2) error {
	framer := k.framer
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
		k.away = true
		if f.ErrCode != http2.ErrCodeNo || f.LastStreamID < k.stream {
			return &networkError{error: fmt.Errorf("the server closes the connection (%v)", f.ErrCode)}
		}
	case *http2.RSTStreamFrame:
		if f.StreamID == k.stream {
			return &networkError{error: fmt.Errorf("the request was reset (%v)", f.ErrCode)}
		}
	case *http2.MetaHeadersFrame:
		switch {
		case f.StreamID != k.stream:
		case f.Truncated:
			return fmt.Errorf("the response head is larger than %d bytes", maxFrame)
		default:
			k.ended = f.StreamEnded()
			return k.judged(a.fields(f))
		}
	case *http2.DataFrame:
		k.received += f.Length
		if f.StreamID == k.stream {
			k.ended = f.StreamEnded()
			return k.judged(a.data(f))
		}
	}
	return nil
}

// interim reports whether the head is one of 1xx (RFC 9110 section 15.2).
func interim(f *http2.MetaHeadersFrame) bool {
	status := f.PseudoValue("status")
	return len(status) == 3 && status[0] == '1' && !f.StreamEnded()
}

func probeHTTP2(k *client2, c *HTTP, scheme, host string) error {
	a := &httpAnswer{HTTP: c, finder: finder{texts: c.Expect}}
	if err := k.exchange(httpRequest2(c, scheme, host), c.Body, maxHead+2*maxSearch, a); err != nil {
		return err
	}
	if len(c.Expect) > 0 && !a.found {
		return errors.New("the body lacks the expected text")
	}
	return nil
}

// httpRequest2 is the request. Fields of the configuration replace ours; those
// about a connection of HTTP/1.1 are left out (RFC 9113 section 8.2.2).
func httpRequest2(c *HTTP, scheme, host string) [][2]string {
	fields := map[string]string{"host": host, "user-agent": "longmen-health-check", "accept": "*/*"}
	if len(c.Body) > 0 {
		fields["content-length"] = strconv.Itoa(len(c.Body))
	}
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
	return all
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
