package router

import "slices"

// names finds a virtual host by name: a hash table with open addressing, half
// empty, that nothing is ever removed from.
type names struct {
	slots []nameSlot // none, or a power of two
}

// A nameSlot is free when its host is nil. Two of them fill a cache line.
type nameSlot struct {
	name string // without the "*"
	host *host
	hash uint32 // its higher half, which takes no part in finding the place
	star star
}

// star says where the "*" of a domain stands.
type star uint8

const (
	starNowhere star = iota
	starFirst
	starLast
)

// domain is the name as it was written.
func (s *nameSlot) domain() string {
	switch s.star {
	case starFirst:
		return "*" + s.name
	case starLast:
		return s.name + "*"
	}
	return s.name
}

// find returns the slot of a name, or nil.
func (n *names) find(name []byte) *nameSlot {
	if len(n.slots) == 0 {
		return nil
	}
	hash := fold(hashSeed, name)
	mask := uint64(len(n.slots) - 1)
	for i := hash; ; i++ {
		slot := &n.slots[i&mask]
		if slot.host == nil {
			return nil
		}
		if slot.hash == uint32(hash>>32) && slot.name == string(name) {
			return slot
		}
	}
}

// newNames makes the table of these names, which are all different.
func newNames(entries []nameSlot) names {
	if len(entries) == 0 {
		return names{}
	}
	n := names{slots: make([]nameSlot, tableSize(len(entries)))}
	mask := uint64(len(n.slots) - 1)
	var gather gathered
	for _, e := range entries {
		gather.room += len(e.name)
	}
	for _, e := range entries {
		e.name = gather.add(e.name)
		i := fold(hashSeed, []byte(e.name))
		e.hash = uint32(i >> 32)
		for n.slots[i&mask].host != nil {
			i++
		}
		n.slots[i&mask] = e
	}
	return n
}

// wildcards finds the longest of the suffixes (or prefixes) of a name. The "*"
// stands for at least one character.
type wildcards struct {
	names
	lengths []int // of the suffixes, descending, each once
}

func newWildcards(entries []nameSlot) wildcards {
	w := wildcards{names: newNames(entries)}
	for _, e := range entries {
		w.lengths = append(w.lengths, len(e.name))
	}
	slices.Sort(w.lengths)
	slices.Reverse(w.lengths)
	w.lengths = slices.Compact(w.lengths)
	return w
}

// findSuffix finds the longest suffix of name that has at least that length.
func (w *wildcards) findSuffix(name []byte, least int) *nameSlot {
	for _, n := range w.lengths {
		if least <= n && n < len(name) {
			if slot := w.find(name[len(name)-n:]); slot != nil {
				return slot
			}
		}
	}
	return nil
}

// findPrefix finds the longest prefix of name that has at least that length.
func (w *wildcards) findPrefix(name []byte, least int) *nameSlot {
	for _, n := range w.lengths {
		if least <= n && n < len(name) {
			if slot := w.find(name[:n]); slot != nil {
				return slot
			}
		}
	}
	return nil
}
