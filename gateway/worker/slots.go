package worker

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Slot is a registration with a loop.
type Slot struct {
	index int32
	age   int32
}

// slots finds the handler of an event. The kernel gives back the slot's index
// and age that were registered: an event for a descriptor that was closed
// earlier in the same turn finds another age and is dropped.
type slots struct {
	pages [][]slot // of pageSize, so that growing copies nothing
	free  []int32
	count int32
}

type slot struct {
	handler Handler
	age     int32
}

const pageSize = 512

func (s *slots) find(index, age int32) Handler {
	p := &s.pages[index/pageSize][index%pageSize]
	if p.age != age {
		return nil
	}
	return p.handler
}

// Add registers fd, edge-triggered for reading, writing and the peer's end.
func (l *Loop) Add(fd int, h Handler) (Slot, error) {
	s := &l.slots
	var index int32
	if n := len(s.free); n > 0 {
		index = s.free[n-1]
		s.free = s.free[:n-1]
	} else {
		index = s.count
		if int(index/pageSize) == len(s.pages) {
			s.pages = append(s.pages, make([]slot, pageSize))
		}
		s.count++
	}
	p := &s.pages[index/pageSize][index%pageSize]
	p.handler = h
	ev := unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET,
		Fd:     index, Pad: p.age,
	}
	if err := unix.EpollCtl(l.epfd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		l.release(index)
		return Slot{}, fmt.Errorf("epoll_ctl: %w", err)
	}
	return Slot{index, p.age}, nil
}

// Move gives a registration to another handler.
func (l *Loop) Move(s Slot, h Handler) {
	if p := &l.slots.pages[s.index/pageSize][s.index%pageSize]; p.age == s.age && p.handler != nil {
		p.handler = h
	}
}

// Remove forgets a registration. The caller closes the descriptor, which takes
// it out of the epoll set.
func (l *Loop) Remove(s Slot) {
	if p := &l.slots.pages[s.index/pageSize][s.index%pageSize]; p.age == s.age && p.handler != nil {
		l.release(s.index)
	}
}

func (l *Loop) release(index int32) {
	p := &l.slots.pages[index/pageSize][index%pageSize]
	p.handler = nil
	p.age++
	l.slots.free = append(l.slots.free, index)
}
