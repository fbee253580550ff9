package std

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"

	"longmen/tls/record"
)

// FuzzWire: whatever the peer sends and however it arrives, a wire passes all of it on, never
// beyond the end of a header or a record in one read, and counts what crypto/tls would.
func FuzzWire(f *testing.F) {
	f.Add([]byte("\x16\x03\x03\x00\x04\x02\x00\x00\x00\x14\x03\x03\x00\x01\x01\x16\x03\x03\x00\x02ab\x17\x03\x03\x00\x00"), byte(3))
	f.Add(bytes.Repeat([]byte{22, 3, 3, 0, 40, 2, 0, 0, 70, 3, 3}, 20), byte(200))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), byte(0))
	f.Fuzz(func(t *testing.T, stream []byte, piece byte) {
		w := &wire{Conn: &chunked{from: bytes.NewReader(stream), size: int(piece) + 1}, log: &keyLog{}}
		p := make([]byte, 512)
		var got []byte
		left := record.HeaderSize
		inHeader := true
		for {
			n, err := w.Read(p)
			if n > left {
				t.Fatalf("%d bytes in place of %d", n, left)
			}
			got = append(got, p[:n]...)
			if left -= n; left == 0 {
				if inHeader {
					left = int(binary.BigEndian.Uint16(got[len(got)-2:]))
				}
				if inHeader = !inHeader; left == 0 {
					left, inHeader = record.HeaderSize, true
				}
			}
			if err != nil {
				break
			}
		}
		if !bytes.Equal(got, stream) {
			t.Fatal("the stream is changed")
		}
		var want direction
		var hello []byte
		for rest := stream; len(rest) >= record.HeaderSize; {
			n := record.HeaderSize + int(binary.BigEndian.Uint16(rest[3:]))
			body := rest[record.HeaderSize:min(n, len(rest))]
			if rest[0] == record.TypeHandshake {
				hello = append(hello, body...)
			}
			if n > len(rest) {
				break
			}
			want.note(rest[:record.HeaderSize])
			rest = rest[n:]
		}
		want.hello.add(hello)
		if w.in.count != want.count || w.in.handshake != want.handshake || w.in.hello != want.hello || w.in.protected != want.protected {
			t.Fatalf("counted %+v, want %+v", w.in, want)
		}
		w.suite()
	})
}

// A chunked connection gives some bytes a read.
type chunked struct {
	net.Conn // nil
	from     io.Reader
	size     int
}

func (c *chunked) Read(p []byte) (int, error) { return c.from.Read(p[:min(len(p), c.size)]) }
