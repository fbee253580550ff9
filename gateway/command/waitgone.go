package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"longmen/gateway/admin"
	"longmen/gateway/ledger"
)

const (
	// askWait is for how long one question to the admin API waits; longer waits ask again.
	askWait = 30 * time.Second
	// askPause is the least time from one question to the next.
	askPause = 500 * time.Millisecond
)

// waitGoneCommand is "longmen wait-gone": until endpoints are not used any more.
func waitGoneCommand() *cobra.Command {
	var gateways []string
	var limit time.Duration
	cmd := &cobra.Command{
		Use:   "wait-gone IP:PORT... [--timeout 30s] [--admin ADDRESS]...",
		Short: "Wait until running gateways use an endpoint no more",
		Long: `Wait until running gateways use an endpoint no more: no worker can pick it, and
no stream is on it. To take an endpoint out is the configuration's part: it is
removed from its clusters, or marked as draining. Then

  longmen wait-gone 10.0.0.7:8080 --timeout 30s --admin 10.1.0.1:15000,10.1.0.2:15000

returns when it can be stopped without a failed request.

Exit codes: 0 gone everywhere, 1 the time is up (what still holds it is written)
or a gateway does not answer, 2 misuse.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			endpoints, err := parseEndpoints(args)
			switch {
			case err != nil:
				return err
			case limit < 0:
				return misusef("--timeout %s: must not be negative", limit)
			case len(gateways) == 0:
				return misusef("--admin names no gateway")
			}
			// Workers have a second to answer when the time is up.
			ctx, cancel := context.WithTimeout(cmd.Context(), limit+2*time.Second)
			defer cancel()
			results := make(chan waited)
			for _, bind := range gateways {
				go func() { results <- waitGone(ctx, bind, endpoints, time.Now().Add(limit)) }()
			}
			failed := false
			for range gateways {
				w := <-results
				failed = failed || w.err != nil
				if w.err != nil {
					fmt.Fprintf(cmd.ErrOrStderr(), "%s: %v\n", w.bind, w.err)
				}
				for i := range w.entries {
					e := &w.entries[i]
					out := cmd.OutOrStdout()
					if !e.Gone {
						failed, out = true, cmd.ErrOrStderr()
					}
					fmt.Fprintf(out, "%s: %s: %s\n", w.bind, e.Endpoint, verdict(e))
				}
			}
			if failed {
				return errReported
			}
			return nil
		},
	}
	cmd.Flags().DurationVar(&limit, "timeout", 30*time.Second, "how long to wait; 0 asks once")
	cmd.Flags().StringSliceVar(&gateways, "admin", []string{admin.DefaultBind}, "admin addresses of the running gateways, or unix:/path; separated by commas, or one a flag")
	return cmd
}

func parseEndpoints(args []string) ([]netip.AddrPort, error) {
	if len(args) == 0 {
		return nil, misusef("wait-gone: which endpoint? IP:PORT is missing")
	}
	var all []netip.AddrPort
	for _, text := range args {
		at, err := netip.ParseAddrPort(text)
		if err != nil || at.Port() == 0 {
			return nil, misusef("%q is not IP:PORT", text)
		}
		all = append(all, netip.AddrPortFrom(at.Addr().Unmap(), at.Port()))
	}
	return all, nil
}

// waited is what came of waiting for one gateway.
type waited struct {
	bind    string
	entries []ledger.Entry // as last told
	err     error          // why nobody knows
}

// waitGone asks a gateway again and again until the endpoints are gone or the time
// is up. A gateway that does not answer is asked again, too: it may just be starting.
func waitGone(ctx context.Context, bind string, endpoints []netip.AddrPort, deadline time.Time) waited {
	w := waited{bind: bind}
	query := url.Values{"format": {"json"}}
	for _, at := range endpoints {
		query.Add("endpoint", at.String())
	}
	for {
		asked := time.Now()
		wait := min(max(0, deadline.Sub(asked)), askWait)
		query.Set("wait", wait.Round(time.Millisecond).String())
		w.entries, w.err = live{bind}.ledger(ctx, query, wait+adminTimeout)
		if w.err == nil && len(w.entries) != len(endpoints) {
			w.entries, w.err = nil, errors.New("the admin API answers something else")
		}
		if w.err == nil && gone(w.entries) || !time.Now().Before(deadline) {
			return w
		}
		select {
		case <-time.After(min(time.Until(asked.Add(askPause)), time.Until(deadline))):
		case <-ctx.Done():
			if w.err == nil {
				w.err = ctx.Err()
			}
			return w
		}
	}
}

// ledger asks the ledger of a running gateway.
func (l live) ledger(ctx context.Context, query url.Values, limit time.Duration) ([]ledger.Entry, error) {
	body, err := l.fetch(ctx, "/ledger", query, limit)
	if err != nil {
		return nil, err
	}
	var entries []ledger.Entry
	if err := json.Unmarshal(body, &entries); err != nil {
		return nil, fmt.Errorf("admin API on %s: /ledger: %w", l.bind, err)
	}
	return entries, nil
}

func gone(entries []ledger.Entry) bool {
	for i := range entries {
		if !entries[i].Gone {
			return false
		}
	}
	return true
}

// verdict says what became of an endpoint, for people.
func verdict(e *ledger.Entry) string {
	switch {
	case !e.Gone:
		return "still used: " + e.Held
	case e.State == ledger.Unknown:
		return "not used, and no cluster had it as far as is remembered: is this the endpoint that is meant?"
	}
	var clusters []string
	for _, s := range e.Clusters {
		clusters = append(clusters, s.Cluster)
	}
	return fmt.Sprintf("gone (%s; cluster %s)", e.State, strings.Join(clusters, ", "))
}
