package listener

// list holds greetings in the order in which they were put into it.
type list struct {
	first, last *greeting
	count       int
}

func (l *list) push(g *greeting) {
	g.in, g.prev, g.next = l, l.last, nil
	if l.last != nil {
		l.last.next = g
	} else {
		l.first = g
	}
	l.last = g
	l.count++
}

func (l *list) remove(g *greeting) {
	if g.prev != nil {
		g.prev.next = g.next
	} else {
		l.first = g.next
	}
	if g.next != nil {
		g.next.prev = g.prev
	} else {
		l.last = g.prev
	}
	g.in, g.prev, g.next = nil, nil, nil
	l.count--
}
