package health

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/net/http2"
	"google.golang.org/protobuf/encoding/protowire"

	"longmen/gateway/protocol/grpc"
)

const (
	healthMethod = "/grpc.health.v1.Health/Check"
	maxMessage   = 4 << 10 // bytes of the answer's messages
)

// servingNames are the values of grpc.health.v1.HealthCheckResponse.ServingStatus.
var servingNames = [...]string{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"}

const serving = 1

func probeGRPC(k *client2, c *GRPC, scheme, authority string) error {
	var answer grpcAnswer
	if err := k.exchange(grpcRequest(c, scheme, authority), grpcMessage(c), maxHead, &answer); err != nil {
		return err
	}
	return answer.judge()
}

func grpcRequest(c *GRPC, scheme, authority string) [][2]string {
	fields := [][2]string{
		{":method", "POST"}, {":scheme", scheme}, {":authority", authority}, {":path", healthMethod},
		{"content-type", grpc.ContentType}, {"te", "trailers"}, {"user-agent", "longmen-health-check"},
	}
	for _, name := range slices.Sorted(maps.Keys(c.Metadata)) {
		fields = append(fields, [2]string{strings.ToLower(clean.Replace(name)), c.Metadata[name]})
	}
	return fields
}

// grpcMessage is grpc.health.v1.HealthCheckRequest in its frame.
func grpcMessage(c *GRPC) []byte {
	var message []byte
	if c.Service != "" {
		message = protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), c.Service)
	}
	return grpc.AppendFrame(nil, message)
}

// grpcAnswer is what came of the answer.
type grpcAnswer struct {
	headed   bool // the response's head is there
	ended    bool
	status   grpc.Code
	messages []byte
}

func (a *grpcAnswer) done() bool { return a.ended }

// fields takes the response's head or its trailers, or both in one.
func (a *grpcAnswer) fields(f *http2.MetaHeadersFrame) error {
	if !a.headed {
		switch {
		case interim(f):
			return nil
		case f.PseudoValue("status") != "200":
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
		return &networkError{error: errors.New("response: data before the head")}
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
