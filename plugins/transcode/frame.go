package transcode

import (
	"encoding/binary"
	"errors"
	"io"

	"longmen/gateway/protocol/grpc"
	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// frame writes the head of a message whose first five bytes are free for it.
func frame(p []byte) []byte {
	p[0] = 0
	binary.BigEndian.PutUint32(p[1:], uint32(len(p)-grpc.FrameHeader))
	return p
}

var (
	errFrame      = errors.New("the server's answer is no gRPC message")
	errCompressed = errors.New("the server compressed its answer unasked")
	errLarge      = errors.New("the server's message is larger than allowed")
)

// frames reads the messages of a gRPC answer.
type frames struct {
	body  stream.Body
	limit int
	piece []byte // the body's last one, copied: who reads messages may wait
	rest  []byte // of it
	buf   []byte // a message and its head
}

// next gives the next message; io.EOF after the last one. It is valid until the
// coroutine asks for the next.
func (f *frames) next(co *worker.Coroutine) ([]byte, error) {
	f.buf = f.buf[:0]
	want := grpc.FrameHeader
	for {
		n := min(want-len(f.buf), len(f.rest))
		f.buf, f.rest = append(f.buf, f.rest[:n]...), f.rest[n:]
		if len(f.buf) == want {
			if want > grpc.FrameHeader {
				return f.buf[grpc.FrameHeader:], nil
			}
			compressed, length, ok := grpc.ParseFrame(f.buf)
			switch {
			case !ok:
				return nil, errFrame
			case compressed:
				return nil, errCompressed
			case int64(length) > int64(f.limit):
				return nil, errLarge
			case length == 0:
				return f.buf[want:], nil
			}
			want += int(length)
			continue
		}
		p, err := f.body.Next(co)
		if err == io.EOF && len(f.buf) > 0 {
			return nil, errFrame
		}
		if err != nil {
			return nil, err
		}
		f.piece = append(f.piece[:0], p...)
		f.rest = f.piece
	}
}
