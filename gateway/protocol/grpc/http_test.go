package grpc

import "testing"

func TestHTTPOfCodes(t *testing.T) {
	for code := range Code(CodeCount) {
		if status := code.HTTP(); status < 200 || status > 504 || (status == 200) != (code == OK) {
			t.Errorf("%v is %d", code, status)
		}
	}
	for code, status := range map[Code]int{Unavailable: 503, DeadlineExceeded: 504, Unimplemented: 501, ResourceExhausted: 429, 17: 500, 1 << 20: 500} {
		if got := code.HTTP(); got != status {
			t.Errorf("%v is %d", code, got)
		}
	}
}
