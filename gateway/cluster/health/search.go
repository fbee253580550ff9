package health

import (
	"bytes"
	"io"
)

const maxSearch = 64 << 10 // bytes of an answer that are searched for the expected texts

// finder looks for texts, each after the end of the one before, in what comes
// in pieces.
type finder struct {
	texts [][]byte // what is still to be found
	read  []byte
	from  int // of read: before it is nothing of the first of texts
}

// take adds a piece, and reports whether all is found.
func (f *finder) take(p []byte) bool {
	f.read = append(f.read, p...)
	for len(f.texts) > 0 {
		text := f.texts[0]
		i := bytes.Index(f.read[f.from:], text)
		if i < 0 {
			f.from = max(f.from, len(f.read)-len(text)+1)
			return false
		}
		f.from += i + len(text)
		f.texts = f.texts[1:]
	}
	return true
}

// search reads until all texts were found, maxSearch bytes were read or the end. It
// does not wait for more than it needs.
func search(r io.Reader, texts [][]byte) (found bool, err error) {
	f := finder{texts: texts}
	var piece [4096]byte
	for len(f.read) < maxSearch {
		n, err := r.Read(piece[:min(len(piece), maxSearch-len(f.read))])
		if f.take(piece[:n]) {
			return true, nil
		}
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}
