package health

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/encoding/protowire"

	"longmen/gateway/protocol/grpc"
)

// A gRPC check is one call on a fresh connection, so it needs no client that keeps
// connections, multiplexes and has goroutines: it writes all it has to say at once
// and reads frames until its stream has ended. Everything received is bounded by
// maxHead.

const (
	healthMethod = "/grpc.health.v1.Health/Check"
	healthStream = 1        // the first stream of a client (RFC 9113 section 5.1.1)
	maxFrame     = 16 << 10 // what a server may send unasked (RFC 9113 section 4.2)
	maxMessage   = 4 << 10  // bytes of the answer's messages
)

// servingNames are the values of grpc.health.v1.HealthCheckResponse.ServingStatus.
var servingNames = [...]string{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"}

const serving = 1

func probeGRPC(conn net.Conn, c *GRPC, scheme, authority string) error {
	if _, err := conn.Write(grpcRequest(c, scheme, authority)); err != nil {
		return &networkError{fmt.Errorf("send: %w", cause(err))}
	}
	limited := &io.LimitedReader{R: conn, N: maxHead}
	framer := http2.NewFramer(conn, bufio.NewReaderSize(limited, 4096))
	framer.SetMaxReadFrameSize(maxFrame)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	framer.MaxHeaderListSize = maxFrame
	var answer grpcAnswer
	for !answer.ended {
		frame, err := framer.ReadFrame()
		if err != nil {
			return grpcReadError(err, limited.N <= 0)
		}
		if err := answer.take(framer, frame); err != nil {
			return err
		}
	}
	return answer.judge()
}

// grpcRequest is everything that the client says: preface, settings and the call.
func grpcRequest(c *GRPC, scheme, authority string) []byte {
	var out, head bytes.Buffer
	out.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&out, nil)
	framer.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 0})
	encoder := hpack.NewEncoder(&head)
	for _, field := range [...][2]string{
		{":method", "POST"}, {":scheme", scheme}, {":authority", clean.Replace(authority)}, {":path", healthMethod},
		{"content-type", grpc.ContentType}, {"te", "trailers"}, {"user-agent", "longmen-health-check"},
	} {
		encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	framer.WriteHeaders(http2.HeadersFrameParam{StreamID: healthStream, BlockFragment: head.Bytes(), EndHeaders: true})
	var message []byte
	if c.Service != "" {
		message = protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), c.Service)
	}
	framer.WriteData(healthStream, true, grpc.AppendFrame(nil, message))
	return out.Bytes() // writing to a Buffer does not fail
}

func grpcReadError(err error, tooMuch bool) error {
	switch {
	case tooMuch:
		return fmt.Errorf("the response is larger than %d bytes", maxHead)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return &networkError{errors.New("response: closed before it was complete")}
	case errors.As(err, new(*net.OpError)):
		return &networkError{fmt.Errorf("response: %w", cause(err))}
	}
	return &networkError{errors.New("response: not HTTP/2")} // x/net cites what came
}

// grpcAnswer is what came of the answer.
type grpcAnswer struct {
	headed   bool // the response's head is there
	ended    bool
	status   grpc.Code
	messages []byte
}

// take takes one frame of the connection, and answers those that want it.
func (a *grpcAnswer) take(framer *http2.Framer, frame http2.Frame) error {
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
		if f.ErrCode != http2.ErrCodeNo || f.LastStreamID < healthStream {
			return &networkError{fmt.Errorf("the server closes the connection (%v)", f.ErrCode)}
		}
	case *http2.RSTStreamFrame:
		if f.StreamID == healthStream {
			return &networkError{fmt.Errorf("the call was reset (%v)", f.ErrCode)}
		}
	case *http2.MetaHeadersFrame:
		if f.StreamID == healthStream {
			return a.fields(f)
		}
	case *http2.DataFrame:
		if f.StreamID == healthStream {
			return a.data(f)
		}
	}
	return nil
}

// fields takes the response's head or its trailers, or both in one.
func (a *grpcAnswer) fields(f *http2.MetaHeadersFrame) error {
	if f.Truncated {
		return fmt.Errorf("the response head is larger than %d bytes", maxFrame)
	}
	if !a.headed {
		status := f.PseudoValue("status")
		switch {
		case len(status) == 3 && status[0] == '1' && !f.StreamEnded():
			return nil // interim
		case status != "200":
			return errors.New("the HTTP status is not 200")
		}
		a.headed = true
		if kind := field(f, "content-type"); !grpc.IsContentType([]byte(kind)) {
			return errors.New("the answer is not one of gRPC")
		}
	}
	if !f.StreamEnded() {
		return nil
	}
	var ok bool
	if a.status, ok = grpc.ParseCode([]byte(field(f, "grpc-status"))); !ok {
		return errors.New("the answer has no grpc-status")
	}
	a.ended = true
	return nil
}

func field(f *http2.MetaHeadersFrame, name string) string {
	for _, field := range f.RegularFields() {
		if field.Name == name {
			return field.Value
		}
	}
	return ""
}

func (a *grpcAnswer) data(f *http2.DataFrame) error {
	switch {
	case !a.headed:
		return &networkError{errors.New("response: data before the head")}
	case f.StreamEnded():
		return errors.New("the answer has no grpc-status")
	case len(a.messages)+len(f.Data()) > maxMessage:
		return fmt.Errorf("the answer is larger than %d bytes", maxMessage)
	}
	a.messages = append(a.messages, f.Data()...)
	return nil
}

// judge reads the message, grpc.health.v1.HealthCheckResponse.
func (a *grpcAnswer) judge() error {
	if a.status != grpc.OK {
		return fmt.Errorf("grpc-status %v", a.status)
	}
	compressed, length, ok := grpc.ParseFrame(a.messages)
	switch {
	case !ok || uint64(length) != uint64(len(a.messages)-grpc.FrameHeader):
		return errors.New("the answer is not one message")
	case compressed:
		return errors.New("the answer is compressed, which was not asked for")
	}
	status, err := servingStatus(a.messages[grpc.FrameHeader:])
	switch {
	case err != nil:
		return err
	case status == serving:
		return nil
	case status < uint64(len(servingNames)):
		return errors.New(servingNames[status])
	}
	return fmt.Errorf("status %d", status)
}

// servingStatus reads field 1; the last one counts, and without any it is 0.
func servingStatus(message []byte) (status uint64, err error) {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n >= 0 {
			message = message[n:]
			if number == 1 && kind == protowire.VarintType {
				status, n = protowire.ConsumeVarint(message)
			} else {
				n = protowire.ConsumeFieldValue(number, kind, message)
			}
		}
		if n < 0 {
			return 0, errors.New("the answer's message is malformed")
		}
		message = message[n:]
	}
	return status, nil
}
