package stream

import (
	"fmt"
	"strings"
	"time"
)

// isoTime is what %START_TIME% gives without a layout of its own.
const isoTime = "%Y-%m-%dT%H:%M:%S.%3fZ"

// checkTime refuses what appendTime does not know. The layout is a strftime
// layout with these conversions: %Y %y %m %d %e %j %H %I %M %S %p %a %A %b %B %F
// %T %s %z %Z %%, and %f (nanoseconds) or %1f to %9f, its first digits.
func checkTime(layout string) error {
	for i := 0; i < len(layout); i++ {
		if control(layout[i]) {
			return fmt.Errorf("time layout %q holds a control character", layout)
		}
		if layout[i] != '%' {
			continue
		}
		i++
		if i < len(layout) && '1' <= layout[i] && layout[i] <= '9' && i+1 < len(layout) && layout[i+1] == 'f' {
			i++
			continue
		}
		if i == len(layout) {
			return fmt.Errorf("time layout %q ends in a single %%", layout)
		}
		if !strings.ContainsRune("YymdejHIMSpaAbBFTszZf%", rune(layout[i])) {
			return fmt.Errorf("time layout %q: unknown conversion %%%c", layout, layout[i])
		}
	}
	return nil
}

// appendTime appends t, which is in UTC, by a layout that checkTime accepted.
func appendTime(dst []byte, t time.Time, layout string) []byte {
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	for i := 0; i < len(layout); i++ {
		c := layout[i]
		if c != '%' {
			dst = append(dst, c)
			continue
		}
		i++
		switch c = layout[i]; c {
		case 'Y':
			dst = appendDigits(dst, year, 4)
		case 'y':
			dst = appendDigits(dst, year%100, 2)
		case 'm':
			dst = appendDigits(dst, int(month), 2)
		case 'd':
			dst = appendDigits(dst, day, 2)
		case 'e':
			if day < 10 {
				dst = append(dst, ' ', byte('0'+day))
			} else {
				dst = appendDigits(dst, day, 2)
			}
		case 'j':
			dst = appendDigits(dst, t.YearDay(), 3)
		case 'H':
			dst = appendDigits(dst, hour, 2)
		case 'I':
			dst = appendDigits(dst, (hour+11)%12+1, 2)
		case 'M':
			dst = appendDigits(dst, minute, 2)
		case 'S':
			dst = appendDigits(dst, second, 2)
		case 'p':
			if hour < 12 {
				dst = append(dst, "AM"...)
			} else {
				dst = append(dst, "PM"...)
			}
		case 'a':
			dst = append(dst, t.Weekday().String()[:3]...)
		case 'A':
			dst = append(dst, t.Weekday().String()...)
		case 'b':
			dst = append(dst, month.String()[:3]...)
		case 'B':
			dst = append(dst, month.String()...)
		case 'F':
			dst = appendTime(dst, t, "%Y-%m-%d")
		case 'T':
			dst = appendTime(dst, t, "%H:%M:%S")
		case 's':
			dst, _ = appendNumber(dst, t.Unix())
		case 'z':
			dst = append(dst, "+0000"...)
		case 'Z':
			dst = append(dst, "UTC"...)
		case 'f':
			dst = appendDigits(dst, t.Nanosecond(), 9)
		case '%':
			dst = append(dst, '%')
		default: // a count of digits, before f
			fraction := t.Nanosecond()
			for range '9' - c {
				fraction /= 10
			}
			dst = appendDigits(dst, fraction, int(c-'0'))
			i++
		}
	}
	return dst
}

// appendDigits appends n, which is not negative, in at least width digits.
func appendDigits(dst []byte, n, width int) []byte {
	start := len(dst)
	for range width {
		dst = append(dst, '0')
	}
	for i := len(dst) - 1; i >= start; i-- {
		dst[i] = byte('0' + n%10)
		n /= 10
	}
	return dst
}
