package worker

import "time"

// stamp is a wall clock second as text, made once for all that log it.
type stamp struct {
	second int64
	text   []byte
}

// AppendStamp appends t, in UTC, as ISO 8601 with milliseconds:
// "2006-01-02T15:04:05.000Z".
func (l *Loop) AppendStamp(dst []byte, t time.Time) []byte {
	if second := t.Unix(); second != l.stamp.second || l.stamp.text == nil {
		l.stamp.second = second
		l.stamp.text = t.UTC().AppendFormat(l.stamp.text[:0], "2006-01-02T15:04:05")
	}
	ms := t.Nanosecond() / 1e6
	dst = append(dst, l.stamp.text...)
	return append(dst, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), 'Z')
}
