package ticket

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

// FuzzOpen: whatever a client sends as a ticket either opens to what was sealed or is
// ErrTicket; what was sealed always opens.
func FuzzOpen(f *testing.F) {
	source, err := Random(Options{}) // so that no ticket in a corpus of another run opens
	if err != nil {
		f.Fatal(err)
	}
	k := source.Context("fuzz")
	good, err := k.Seal(nil, []byte("session"), noon)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, []byte("session"))
	f.Add(good[:len(good)-1], []byte{})
	f.Add([]byte{}, []byte{0})
	f.Fuzz(func(t *testing.T, ticket, content []byte) {
		got, _, err := k.Open(ticket, noon)
		if err == nil && !bytes.Equal(ticket, good) && len(got) != len(ticket)-Overhead {
			t.Fatalf("%d bytes of %d opened", len(got), len(ticket))
		}
		if err != nil && (!errors.Is(err, ErrTicket) || got != nil) {
			t.Fatalf("%q, %v", got, err)
		}
		if len(content) > MaxTicket-Overhead {
			return
		}
		sealed, err := k.Seal(nil, content, noon)
		if err != nil {
			t.Fatal(err)
		}
		if got, renew, err := k.Open(sealed, noon.Add(time.Minute)); err != nil || renew || !bytes.Equal(got, content) {
			t.Fatalf("sealed %q, opened %q, %v, %v", content, got, renew, err)
		}
		if len(ticket) >= Overhead { // the name of a key that is known, and the rest foreign
			forged := append(bytes.Clone(sealed[:nameSize]), ticket[nameSize:]...)
			if _, _, err := k.Open(forged, noon); err == nil && !bytes.Equal(forged, good) {
				t.Fatal("a forged ticket opened")
			}
		}
	})
}
