package snapshot

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

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
	data []byte // nil while the file is known to be as before

	c  *compiler
	at resource.Path
}

// content finds what a DataSource stands for. A file that is as it was is not read.
func (c *compiler) content(at resource.Path, s *core.DataSource) (*content, bool) {
	out := &content{c: c, at: at}
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
	data, info, err := readFile(k.from)
	if err != nil {
		k.c.fail(k.at, "%s cannot be read: %v", k.from, err)
		return nil, false
	}
	state := stateOf(info)
	state.sum = sha256.Sum256(data)
	k.c.next.files[k.from], k.data, k.sum = state, data, state.sum
	return data, true
}

// forget wipes a private key that was read of a file.
func (k *content) forget() {
	if k.from != "" {
		clear(k.data)
		k.data = nil
	}
}

// fileAsBefore gives what the previous snapshot knew of a file, if that still holds.
func (c *compiler) fileAsBefore(name string) (fileState, bool) {
	before, ok := c.previous.files[name]
	if !ok || !before.sure {
		return fileState{}, false
	}
	info, err := os.Stat(name)
	if err != nil {
		return fileState{}, false
	}
	now := stateOf(info)
	now.sure, now.sum = before.sure, before.sum
	return before, now == before
}

func stateOf(info fs.FileInfo) fileState {
	state := fileState{size: info.Size(), modified: info.ModTime().UnixNano()}
	if system, ok := info.Sys().(*syscall.Stat_t); ok {
		state.device, state.inode = system.Dev, system.Ino
	}
	state.sure = time.Since(info.ModTime()) > settled
	return state
}

// readFile reads a regular file of at most maxFile bytes. Its info is of before
// that: a change while it is read shows as another time.
func readFile(name string) ([]byte, fs.FileInfo, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe must not hold up a reload
	if err != nil {
		return nil, nil, cause(err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, nil, cause(err)
	case !info.Mode().IsRegular():
		return nil, nil, errors.New("it is no regular file")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("it is larger than %d MiB", maxFile>>20)
	}
	return data, info, cause(err)
}

// cause leaves out the file's name, which the text has already.
func cause(err error) error {
	var inner *fs.PathError
	if errors.As(err, &inner) {
		return inner.Err
	}
	return err
}
