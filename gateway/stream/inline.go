package stream

import "errors"

// Inline is a handler cut in two where it first waits, so that a stream that
// waits once, for its answer, needs no coroutine: no stack of its own, and no
// switches. Begin and Poll run on the loop's own stack, where nothing may wait.
type Inline struct {
	// Begin answers the stream, or sends it on its way: then its error is
	// ErrParked, and Poll is called when Stream.Parked is woken. ErrCoroutine
	// asks for a coroutine, on which Resume is called. A wake-up during Begin or
	// Poll is not noticed, but for that of an Abort.
	Begin Handler
	// Poll looks for the answer; its results are those of Begin.
	Poll Handler
	// Resume goes on where Begin or Poll stopped, on a coroutine. It may be
	// called for a parked stream too: when it was aborted.
	Resume Handler
}

var (
	// ErrParked says that the stream waits for Stream.Parked to be woken.
	ErrParked = errors.New("stream: parked")
	// ErrCoroutine says that only a coroutine can go on with the stream.
	ErrCoroutine = errors.New("stream: needs a coroutine")
)

// Waker can be told that what it waits for may have come.
type Waker interface {
	Wake()
}
