package http2

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// attackEnv makes this test's binary an attacker: a process of its own, so that
// its work is not the good clients'. It holds an order in JSON.
const attackEnv = "HTTP2_ATTACK"

type order struct {
	Name     string
	Addr     string
	Conns    int // at once; each comes again when it was ended
	Duration time.Duration
	Once     bool // each does not
}

// result is what an attacker's process prints in the end.
type result struct {
	Ends     map[string]int // connections by how they ended
	Longest  time.Duration  // that one of them lived
	Streams  int            // that were begun
	Frames   int            // that were sent
	Answers  int            // HEADERS that came
	Resets   map[string]int // RST_STREAM that came, by code
	mu       sync.Mutex
	deadline time.Time
}

// again is how long an attacker waits after an end before it comes again.
const again = 20 * time.Millisecond

func runAttack(text string) error {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	var run func(*attacker)
	for _, a := range attacks() {
		if a.name == o.Name {
			run = a.run
		}
	}
	if run == nil {
		return fmt.Errorf("no attack %q", o.Name)
	}
	r := &result{Ends: map[string]int{}, Resets: map[string]int{}, deadline: time.Now().Add(o.Duration)}
	var all sync.WaitGroup
	for range o.Conns {
		all.Go(func() {
			for time.Now().Before(r.deadline) {
				r.one(o.Addr, run)
				if o.Once {
					time.Sleep(time.Until(r.deadline))
				}
				time.Sleep(again)
			}
		})
	}
	all.Wait()
	return json.NewEncoder(os.Stdout).Encode(r)
}

// one is the life of one connection.
func (r *result) one(addr string, run func(*attacker)) {
	tcp, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		r.mu.Lock()
		r.Ends["no connection"]++
		r.mu.Unlock()
		time.Sleep(again)
		return
	}
	defer tcp.Close()
	a := &attacker{tcp: tcp.(*net.TCPConn), deadline: r.deadline, next: 1, resets: map[string]int{}, over: make(chan struct{}), reads: make(chan struct{}), answer: make(chan struct{}, 2*atOnce)}
	a.encoder = hpack.NewEncoder(&a.block)
	go a.read()
	began := time.Now()
	run(a)
	a.listen()
	end := "alive"
	if !a.timedOut() {
		// The end is on its way, or all there will be.
		select {
		case <-a.over:
		case <-time.After(time.Until(a.deadline)):
		}
	}
	select {
	case <-a.over:
		end = a.end()
	default:
		tcp.SetReadDeadline(time.Unix(1, 0))
		<-a.over
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Ends[end]++
	r.Longest = max(r.Longest, time.Since(began))
	r.Streams += int(a.next-1) / 2
	r.Frames += a.frames
	r.Answers += a.answers
	for code, n := range a.resets {
		r.Resets[code] += n
	}
}

// An attacker is one connection of an attack: it builds frames in out, and
// flush sends them.
type attacker struct {
	tcp      *net.TCPConn
	deadline time.Time
	out      []byte
	block    bytes.Buffer
	encoder  *hpack.Encoder
	next     uint32 // stream
	frames   int

	reads   chan struct{} // closed when what comes is read
	reading sync.Once
	over    chan struct{} // closed at the end of what comes
	answer  chan struct{} // one for each HEADERS, as long as somebody takes them
	answers int           // these are valid once over is closed
	resets  map[string]int
	goaway  string
	err     error
}

// listen has what comes read from now on; most attacks begin with it.
func (a *attacker) listen() { a.reading.Do(func() { close(a.reads) }) }

func (a *attacker) timedOut() bool { return !time.Now().Before(a.deadline) }

func (a *attacker) read() {
	defer close(a.over)
	<-a.reads
	var head [9]byte
	for {
		if _, err := io.ReadFull(a.tcp, head[:]); err != nil {
			a.err = err
			return
		}
		size := int64(head[0])<<16 | int64(head[1])<<8 | int64(head[2])
		var kept [8]byte
		n := min(size, 8)
		if _, err := io.ReadFull(a.tcp, kept[:n]); err != nil {
			a.err = err
			return
		}
		if _, err := io.CopyN(io.Discard, a.tcp, size-n); err != nil {
			a.err = err
			return
		}
		switch http2.FrameType(head[3]) {
		case http2.FrameHeaders:
			a.answers++
			select {
			case a.answer <- struct{}{}:
			default:
			}
		case http2.FrameRSTStream:
			a.resets[http2.ErrCode(binary.BigEndian.Uint32(kept[:])).String()]++
		case http2.FrameGoAway:
			a.goaway = http2.ErrCode(binary.BigEndian.Uint32(kept[4:])).String()
		}
	}
}

// end is how the gateway has ended the connection.
func (a *attacker) end() string {
	if a.goaway != "" {
		return a.goaway
	}
	if a.err == io.EOF {
		return "closed"
	}
	return "reset"
}

// oneWrite is what goes to the kernel at once: it may not let anybody else run
// on the processor meanwhile.
const oneWrite = 8 << 10

// flush sends what was built; false when the connection or the time has ended.
func (a *attacker) flush() bool {
	a.tcp.SetWriteDeadline(a.deadline)
	var err error
	for p := a.out; len(p) > 0 && err == nil; {
		n := min(len(p), oneWrite)
		_, err = a.tcp.Write(p[:n])
		p = p[n:]
	}
	a.out = a.out[:0]
	return err == nil && !a.timedOut()
}

// forever repeats what builds frames until the connection or the time has ended.
func (a *attacker) forever(build func()) {
	for {
		build()
		if !a.flush() {
			return
		}
	}
}

// pause waits; false when the connection or the time has ended meanwhile.
func (a *attacker) pause(d time.Duration) bool {
	select {
	case <-a.over:
		return false
	case <-time.After(min(d, time.Until(a.deadline))):
		return !a.timedOut()
	}
}

// begin is the preface and our settings.
func (a *attacker) begin(settings ...http2.Setting) {
	a.out = append(a.out, http2.ClientPreface...)
	var p []byte
	for _, s := range settings {
		p = binary.BigEndian.AppendUint16(p, uint16(s.ID))
		p = binary.BigEndian.AppendUint32(p, s.Val)
	}
	a.frame(http2.FrameSettings, 0, 0, p)
}

func (a *attacker) frame(kind http2.FrameType, flags http2.Flags, id uint32, payload []byte) {
	a.frames++
	n := len(payload)
	a.out = append(a.out, byte(n>>16), byte(n>>8), byte(n), byte(kind), byte(flags))
	a.out = binary.BigEndian.AppendUint32(a.out, id)
	a.out = append(a.out, payload...)
}

// fields encodes a request's field section.
func (a *attacker) fields(method, path string, more ...string) []byte {
	a.block.Reset()
	for i, f := 0, append([]string{":method", method, ":scheme", "http", ":authority", "h", ":path", path}, more...); i < len(f); i += 2 {
		a.encoder.WriteField(hpack.HeaderField{Name: f[i], Value: f[i+1]})
	}
	return a.block.Bytes()
}

const (
	endStream  = http2.FlagDataEndStream
	endHeaders = http2.FlagHeadersEndHeaders
)

// stream takes the next stream's number.
func (a *attacker) stream() uint32 {
	a.next += 2
	return a.next - 2
}

// get begins a request without a body.
func (a *attacker) get(path string, more ...string) uint32 {
	id := a.stream()
	a.frame(http2.FrameHeaders, endStream|endHeaders, id, a.fields("GET", path, more...))
	return id
}

// post begins a request whose body is still to come.
func (a *attacker) post(path string, more ...string) uint32 {
	id := a.stream()
	a.frame(http2.FrameHeaders, endHeaders, id, a.fields("POST", path, more...))
	return id
}

func (a *attacker) reset(id uint32) {
	a.number(http2.FrameRSTStream, id, uint32(http2.ErrCodeCancel))
}

// number is a frame of one number of 32 bits.
func (a *attacker) number(kind http2.FrameType, id, n uint32) {
	a.frame(kind, 0, id, binary.BigEndian.AppendUint32(nil, n))
}

// text has the result in a line.
func (r *result) text() string {
	return fmt.Sprintf("ends %s; %d streams, %d frames, %d answers, resets %s", counts(r.Ends), r.Streams, r.Frames, r.Answers, counts(r.Resets))
}

func counts(m map[string]int) string {
	var b strings.Builder
	for _, k := range sorted(m) {
		fmt.Fprintf(&b, " %s:%d", k, m[k])
	}
	if b.Len() == 0 {
		return " none"
	}
	return b.String()[1:]
}
