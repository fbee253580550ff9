package snapshot

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"golang.org/x/sys/unix"

	"longmen/gateway/resource"
)

const (
	// maxFile bounds a file that a resource names, in bytes.
	maxFile = 16 << 20
	// settled is how long a file must have been left alone for its time to tell
	// whether it is the same: clocks of file systems are coarse.
	settled = 2 * time.Second
)

// sum identifies a content.
type sum [sha256.Size]byte

// fileState is what is known of a file that resources name: while it does not
// change, ten thousand certificates need not be read again.
type fileState struct {
	size, modified int64 // modified in nanoseconds since 1970
	device, inode  uint64
	sure           bool // it was settled when it was read
	sum            sum
}

// A content is what a DataSource stands for. It is not kept longer than the
// compilation lasts.
type content struct {
	sum  sum
	from string // the file's name; "" when it stands in the resource
	*reading

	c  *compiler
	at resource.Path
}

// A reading is what was read of a file, which several contents may share.
type reading struct {
	data []byte // nil while the file is known to be as before, and when it is no longer needed
}

// content finds what a DataSource stands for. A file that is as it was is not read.
func (c *compiler) content(at resource.Path, s *core.DataSource) (*content, bool) {
	out := &content{reading: &reading{}, c: c, at: at}
	switch held := s.GetSpecifier().(type) {
	case *core.DataSource_Filename:
		c.only(at, s, "filename")
		out.from = held.Filename
		state, known := c.next.files[out.from]
		if !known {
			state, known = c.fileAsBefore(out.from)
		}
		if known {
			c.next.files[out.from], out.sum = state, state.sum
			return out, true
		}
		_, ok := out.bytes()
		return out, ok
	case *core.DataSource_InlineString:
		c.only(at, s, "inline_string")
		if held.InlineString == resource.Redacted {
			c.failHint(at, "this is what a dump has in place of a private key", "%s is no key", resource.Redacted)
			return nil, false
		}
		out.data = []byte(held.InlineString)
	case *core.DataSource_InlineBytes:
		c.only(at, s, "inline_bytes")
		out.data = held.InlineBytes
	case nil:
		c.fail(at, "DataSource.specifier is missing")
		return nil, false
	default:
		c.only(at, s)
		return nil, false
	}
	out.sum = sha256.Sum256(out.data)
	return out, true
}

// bytes gives the content itself, read if need be.
func (k *content) bytes() ([]byte, bool) {
	if k.data != nil || k.from == "" {
		return k.data, true
	}
	data, state, err := readFile(k.from, k.c.room)
	k.c.room = nil
	if err != nil {
		k.c.fail(k.at, "%s cannot be read: %v", k.from, err)
		return nil, false
	}
	state.sum = sha256.Sum256(data)
	k.c.next.files[k.from], k.data, k.sum = state, data, state.sum
	return data, true
}

// forget wipes what was read of a file, and leaves its room to the next one. Nothing may
// refer to it any more.
func (k *content) forget() {
	if k == nil || k.from == "" || k.data == nil {
		return
	}
	clear(k.data)
	k.c.room = k.data[:0]
	k.data = nil
}

// fileAsBefore gives what the previous snapshot knew of a file, if that still holds.
func (c *compiler) fileAsBefore(name string) (fileState, bool) {
	before, ok := c.previous.files[name]
	if !ok || !before.sure {
		return fileState{}, false
	}
	var info unix.Stat_t
	if err := unix.Stat(name, &info); err != nil {
		return fileState{}, false
	}
	now := stateOf(&info)
	now.sure, now.sum = before.sure, before.sum
	return before, now == before
}

func stateOf(info *unix.Stat_t) fileState {
	modified := time.Unix(info.Mtim.Unix())
	return fileState{
		size: info.Size, modified: modified.UnixNano(), device: info.Dev, inode: info.Ino,
		sure: time.Since(modified) > settled,
	}
}

// readFile reads a regular file of at most maxFile bytes, into room if that is large enough.
// Its state is of before that: a change while it is read shows as another time. It is made of
// plain system calls, the least there can be: ten thousand certificates are ten thousand files.
func readFile(name string, room []byte) ([]byte, fileState, error) {
	fd, err := again(func() (int, error) {
		return unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0) // a pipe must not hold up a reload
	})
	if err != nil {
		return nil, fileState{}, err
	}
	defer unix.Close(fd)
	var info unix.Stat_t
	switch err := unix.Fstat(fd, &info); {
	case err != nil:
		return nil, fileState{}, err
	case info.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil, fileState{}, errors.New("it is no regular file")
	}
	data := slices.Grow(room[:0], int(min(info.Size, maxFile))+1)
	for {
		n, err := again(func() (int, error) { return unix.Read(fd, data[len(data):cap(data)]) })
		if err != nil {
			return nil, fileState{}, err
		}
		data = data[:len(data)+n]
		switch {
		case len(data) > maxFile:
			return nil, fileState{}, fmt.Errorf("it is larger than %d MiB", maxFile>>20)
		case n == 0, int64(len(data)) == info.Size:
			return data, stateOf(&info), nil
		case len(data) == cap(data): // it grows, or is none of a disk
			data = slices.Grow(data, len(data))
		}
	}
}

// again repeats a system call that a signal has interrupted.
func again(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); err != unix.EINTR {
			return n, err
		}
	}
}
