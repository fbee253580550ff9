package worker

import "time"

const (
	// burnBudget is what a turn spends on what Burn was given: when it is used up,
	// the rest waits for later turns. The last function begun may exceed it.
	burnBudget = 250 * time.Microsecond
	// gentleBudget takes its place for gentleTime after Gently.
	gentleBudget = 60 * time.Microsecond
	gentleTime   = int64(time.Second)
)

// Gently says that somebody is there whose requests should not wait: for a second
// a turn burns less, which costs more turns.
func (l *Loop) Gently() { l.gentle = l.now }

// Burn runs f on the loop, at the end of a turn, when the turn's events, tasks and
// coroutines have had theirs, and within a budget: who is there already waits for
// a fraction of a millisecond, however much there is to burn. It is for what takes
// some hundred microseconds of CPU: less than a thread would cost for it, with the
// switches to and fro. Functions run in the order of the calls; they must not wait.
func (l *Loop) Burn(f func()) { l.burning = append(l.burning, f) }

// burn runs some of what Burn was given.
func (l *Loop) burn() {
	if len(l.burning) == 0 {
		return
	}
	budget := burnBudget
	if l.gentle != 0 && l.now-l.gentle < gentleTime {
		budget = gentleBudget
	}
	// Those that had no room in the turn wait for the next one.
	spent := l.spent
	l.ready, l.backlog, l.spent = l.backlog[:0], l.ready, false
	defer func() {
		l.spent = spent
		l.ready, l.backlog = append(l.backlog, l.ready...), l.ready
		clear(l.backlog)
	}()
	began := time.Now()
	for l.burned < len(l.burning) {
		f := l.burning[l.burned]
		l.burning[l.burned] = nil
		l.burned++
		l.runTask(f)
		l.runReady() // what a function woke counts as its work
		if time.Since(began) >= budget {
			break
		}
	}
	// What is done makes room, also when there is always more to do.
	if l.burned > len(l.burning)/2 {
		n := copy(l.burning, l.burning[l.burned:])
		clear(l.burning[n:])
		l.burning, l.burned = l.burning[:n], 0
	}
}
