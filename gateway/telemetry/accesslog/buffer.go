package accesslog

import (
	"bytes"
	"sync/atomic"
	"time"

	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
)

const (
	// handOver is how full a chunk gets before it is given to the writer.
	handOver = 64 << 10
	// slack is room beyond it for the line that crosses it. A longer line makes
	// its chunk grow for once; none is cut or left out, since a request must not
	// be able to hide by being long.
	slack = 16 << 10
	// chunksEach bounds what a worker may hold for one log: about 320 KiB.
	chunksEach = 4
	// maxAge is how long a line may wait in an unfilled chunk.
	maxAge = time.Second
)

// chunk is memory for lines, on its way between a worker and the writer.
type chunk struct {
	text  []byte
	lines uint64
	owner *Buffer
}

// Buffer is one worker's side of one log. Only its worker's loop may use it; it never
// waits and takes no lock.
type Buffer struct {
	writer *Writer
	free   chan *chunk // chunks that come back from the writer
	made   int

	loop  *worker.Loop // nil: others call Flush
	timer worker.Timer

	current *chunk // nil when there is none to be had
	oldest  int64  // loop time of the first line in current

	dropped metrics.Counter
	lost    atomic.Uint64 // lines that the writer could not write
	written atomic.Uint64
}

// Log appends the line of one stream, at the loop's time now in nanoseconds.
// The line ends with a line feed, added if the format has none.
func (b *Buffer) Log(now int64, format *stream.Format, s *stream.Stream, resp *stream.Response) {
	if !b.open(now) {
		return
	}
	b.close(format.Append(b.current.text, s, resp))
}

// Append appends a line that line makes, as Log does. Line gets memory to
// append to and returns it.
func (b *Buffer) Append(now int64, line func(dst []byte) []byte) {
	if !b.open(now) {
		return
	}
	b.close(line(b.current.text))
}

// open sees to it that there is room for a line; without, the line is dropped.
func (b *Buffer) open(now int64) bool {
	if b.current == nil {
		b.current = b.take()
	} else if len(b.current.text) >= handOver && !b.give() {
		b.dropped.Inc()
		return false
	}
	if b.current == nil {
		if b.current = b.take(); b.current == nil {
			b.dropped.Inc()
			return false
		}
	}
	if len(b.current.text) == 0 {
		b.oldest = now
		if b.loop != nil {
			b.loop.Arm(&b.timer, maxAge)
		}
	}
	return true
}

// close keeps text, the current chunk's with one more line.
func (b *Buffer) close(text []byte) {
	if !bytes.HasSuffix(text, []byte{'\n'}) {
		text = append(text, '\n')
	}
	b.current.text = text
	b.current.lines++
	if len(text) >= handOver {
		b.give()
	}
}

// take gets an empty chunk, or nil when all of them wait for the writer.
func (b *Buffer) take() *chunk {
	select {
	case c := <-b.free:
		if cap(c.text) > handOver+slack { // one long line does not cost its memory for ever
			c.text = make([]byte, 0, handOver+slack)
		}
		c.text, c.lines = c.text[:0], 0
		return c
	default:
	}
	if b.made == chunksEach {
		return nil
	}
	b.made++
	return &chunk{text: make([]byte, 0, handOver+slack), owner: b}
}

// give hands the current chunk to the writer, if that has room for it.
func (b *Buffer) give() bool {
	if b.writer.closed.Load() {
		b.dropped.Add(b.current.lines)
		b.current.text, b.current.lines = b.current.text[:0], 0
		return true
	}
	select {
	case b.writer.full <- b.current:
		b.current = nil
		return true
	default:
		return false
	}
}

// FlushOn lets a timer of the worker's loop do what Flush does, also when
// nothing else happens there. Call it on the loop, once, before the first line.
func (b *Buffer) FlushOn(loop *worker.Loop) {
	b.loop = loop
	b.timer.Init(b)
}

// Expire is called by the loop when the timer of FlushOn fires.
func (b *Buffer) Expire(*worker.Timer) {
	now := b.loop.Now()
	b.Flush(now)
	if at := b.Deadline(); at != 0 {
		// The lines are of a younger chunk, or the writer had no room.
		b.loop.Arm(&b.timer, max(time.Duration(at-now), maxAge/10))
	}
}

// Flush hands over lines that have waited for a second at the loop's time now.
func (b *Buffer) Flush(now int64) {
	if b.current != nil && len(b.current.text) > 0 && now-b.oldest >= int64(maxAge) {
		b.give()
	}
}

// Deadline is the loop time at which Flush has something to do, 0 when nothing waits.
func (b *Buffer) Deadline() int64 {
	if b.current == nil || len(b.current.text) == 0 {
		return 0
	}
	return b.oldest + int64(maxAge)
}

// FlushNow hands over what there is, however young: when the worker ends. Lines for which
// the writer has no room are counted as dropped.
func (b *Buffer) FlushNow() {
	if b.current == nil || len(b.current.text) == 0 || b.give() {
		return
	}
	b.dropped.Add(b.current.lines)
	b.current.text, b.current.lines = b.current.text[:0], 0
}

// Retire is FlushNow for a buffer that no line comes to any more, while its
// writer goes on: it reports whether the writer had room. A buffer that is
// wanted again begins with FlushOn.
func (b *Buffer) Retire() bool {
	if b.current != nil && len(b.current.text) > 0 && !b.give() {
		return false
	}
	if b.loop != nil {
		b.loop.Drop(&b.timer)
	}
	return true
}
