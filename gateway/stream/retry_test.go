package stream

import "testing"

// The flags tell of the failure, and of retries that ended by a limit.
func TestFlagsOfRetries(t *testing.T) {
	format, err := ParseFormat("%RESPONSE_FLAGS% %RETRY_REASON% %RETRY_END%")
	if err != nil {
		t.Fatal(err)
	}
	overflow, timeout := &Error{Flag: UpstreamOverflow}, &Error{Flag: UpstreamTimeout}
	for _, test := range []struct {
		record Record
		want   string
	}{
		{Record{}, "- - -"},
		{Record{Retried: RetryReset}, "- reset -"},
		{Record{Retried: RetryStatus, RetryEnd: RetryAttempts}, "URX status attempts"},
		{Record{RetryEnd: RetryOverflow, Err: timeout}, "UT,UO - overflow"},
		{Record{RetryEnd: RetryOverflow, Err: overflow}, "UO - overflow"},
		{Record{Retried: Hedged, RetryEnd: RetryUnsafe, Err: timeout}, "UT hedged may-have-run"},
	} {
		s := Stream{Record: test.record}
		if got := string(format.Append(nil, &s, nil)); got != test.want {
			t.Errorf("%+v: %q, want %q", test.record, got, test.want)
		}
	}
	for r := NotRetried; r <= Hedged; r++ {
		if r.String() == "" {
			t.Errorf("%d has no name", r)
		}
	}
	for r := RetryWentOn; r < RetryEndCount; r++ {
		if r.String() == "" {
			t.Errorf("%d has no name", r)
		}
	}
}
