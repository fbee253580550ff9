package command

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"longmen/gateway/protocol/grpc"
)

// Bounds of the demo's gRPC origin.
const (
	demoMaxMessage = 4 << 10 // bytes of a request's message
	demoMaxTimes   = 10      // greetings of GreetOften
)

// A demoGreeter is the demo's gRPC origin: demo.Greeter, as demo/greeter.proto
// describes it, and grpc.health.v1.Health, over HTTP/2 without TLS.
type demoGreeter struct {
	name     string
	pause    time.Duration   // between the greetings of a stream
	stopping <-chan struct{} // cuts streams short
}

func newDemoGreeter(origin *demoGreeter) *http.Server {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           origin,
		Protocols:         &protocols,
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
}

// A demoStatus is how a call ends that does not end well.
type demoStatus struct {
	code grpc.Code
	text string
}

func (s demoStatus) Error() string { return s.text }

func (o *demoGreeter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || !grpc.IsContentType([]byte(r.Header.Get("Content-Type"))) {
		http.Error(w, "the "+o.name+" speaks gRPC only", http.StatusUnsupportedMediaType)
		return
	}
	w.Header().Set("Content-Type", grpc.ContentType)
	w.Header().Set("X-Origin", o.name)
	reply := &demoReply{writer: w}
	status := demoStatus{code: grpc.OK}
	if err := o.call(reply, r); err != nil && !errors.As(err, &status) {
		status = demoStatus{grpc.Internal, err.Error()}
	}
	reply.end(status)
}

// A demoReply is the answer to a call: messages and a status.
type demoReply struct {
	writer http.ResponseWriter
	begun  bool // a message went out
}

// send sends a message at once.
func (a *demoReply) send(message []byte) error {
	a.begun = true
	if _, err := a.writer.Write(grpc.AppendFrame(nil, message)); err != nil {
		return err
	}
	return http.NewResponseController(a.writer).Flush()
}

// end says the status: in the trailers, or in the head when there is no message.
func (a *demoReply) end(status demoStatus) {
	prefix := ""
	if a.begun {
		prefix = http.TrailerPrefix
	}
	a.writer.Header().Set(prefix+"Grpc-Status", string(status.code.Append(nil)))
	if status.text != "" {
		a.writer.Header().Set(prefix+"Grpc-Message", string(grpc.AppendMessage(nil, status.text)))
	}
}

func (o *demoGreeter) call(reply *demoReply, r *http.Request) error {
	request, err := demoMessage(r.Body)
	if err != nil {
		return err
	}
	switch r.URL.Path {
	case "/grpc.health.v1.Health/Check":
		const status, serving = 1, 1
		return reply.send(protowire.AppendVarint(protowire.AppendTag(nil, status, protowire.VarintType), serving))
	case "/demo.Greeter/Greet":
		name, _, err := demoWho(request)
		if err != nil {
			return err
		}
		return reply.send(o.greeting("hello " + name))
	case "/demo.Greeter/GreetOften":
		name, times, err := demoWho(request)
		if err != nil {
			return err
		}
		return o.greetOften(reply, r, name, times)
	}
	return demoStatus{grpc.Unimplemented, "no method " + r.URL.Path}
}

// greetOften sends one greeting after the other, until the client has gone or
// the origin stops.
func (o *demoGreeter) greetOften(reply *demoReply, r *http.Request, name string, times uint64) error {
	if times == 0 {
		times = 3
	}
	for i := range min(times, demoMaxTimes) {
		if i > 0 {
			select {
			case <-time.After(o.pause):
			case <-r.Context().Done():
				return r.Context().Err()
			case <-o.stopping:
				return demoStatus{grpc.Unavailable, "stopping"}
			}
		}
		if err := reply.send(o.greeting(fmt.Sprintf("hello %s, %d", name, i+1))); err != nil {
			return err
		}
	}
	return nil
}

// greeting is a message demo.Greeting.
func (o *demoGreeter) greeting(text string) []byte {
	const textField, originField = 1, 2
	message := protowire.AppendString(protowire.AppendTag(nil, textField, protowire.BytesType), text)
	return protowire.AppendString(protowire.AppendTag(message, originField, protowire.BytesType), o.name)
}

// demoWho reads a message demo.Who.
func demoWho(message []byte) (name string, times uint64, err error) {
	const nameField, timesField = 1, 2
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return "", 0, demoStatus{grpc.InvalidArgument, "that is no demo.Who"}
		}
		message = message[n:]
		switch {
		case field == nameField && kind == protowire.BytesType:
			name, n = protowire.ConsumeString(message)
		case field == timesField && kind == protowire.VarintType:
			times, n = protowire.ConsumeVarint(message)
		default:
			n = protowire.ConsumeFieldValue(field, kind, message)
		}
		if n < 0 {
			return "", 0, demoStatus{grpc.InvalidArgument, "that is no demo.Who"}
		}
		message = message[n:]
	}
	if name == "" {
		return "", 0, demoStatus{grpc.InvalidArgument, "whom shall I greet?"}
	}
	return name, times, nil
}

// demoMessage reads the one message of a request.
func demoMessage(body io.Reader) ([]byte, error) {
	var head [grpc.FrameHeader]byte
	if _, err := io.ReadFull(body, head[:]); err != nil {
		return nil, demoStatus{grpc.Internal, "no whole message came"}
	}
	compressed, length, ok := grpc.ParseFrame(head[:])
	switch {
	case !ok:
		return nil, demoStatus{grpc.Internal, "that is no message"}
	case compressed:
		return nil, demoStatus{grpc.Unimplemented, "compressed messages are not understood"}
	case length > demoMaxMessage:
		return nil, demoStatus{grpc.ResourceExhausted, fmt.Sprintf("messages have %d bytes at most", demoMaxMessage)}
	}
	message := make([]byte, length)
	if _, err := io.ReadFull(body, message); err != nil {
		return nil, demoStatus{grpc.Internal, "no whole message came"}
	}
	return message, nil
}
