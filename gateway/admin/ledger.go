package admin

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/valyala/fasthttp"

	"longmen/gateway/ledger"
)

// Bounds of a question to the ledger.
const (
	maxLedgerEndpoints = 64
	maxLedgerWait      = 60 * time.Second
)

// ledger answers whether endpoints are still used here: ?endpoint=IP:PORT, which
// may stand several times. With ?wait= it answers when all of them are gone, at the
// latest when that time is over. Without an endpoint it lists those on their way out.
func (s *Server) ledger(ctx *fasthttp.RequestCtx) {
	var at []netip.AddrPort
	for _, text := range ctx.QueryArgs().PeekMulti("endpoint") {
		one, err := netip.ParseAddrPort(string(text))
		if err != nil || one.Port() == 0 {
			fail(ctx, fasthttp.StatusBadRequest, fmt.Sprintf("endpoint=%.64q is not IP:PORT", text))
			return
		}
		at = append(at, netip.AddrPortFrom(one.Addr().Unmap(), one.Port()))
	}
	if len(at) > maxLedgerEndpoints {
		fail(ctx, fasthttp.StatusBadRequest, fmt.Sprintf("ask for at most %d endpoints", maxLedgerEndpoints))
		return
	}
	wait, problem := ledgerWait(string(ctx.QueryArgs().Peek("wait")))
	if problem == "" && wait > 0 && len(at) == 0 {
		problem = "wait for which endpoint? ?endpoint=IP:PORT is missing"
	}
	if problem != "" {
		fail(ctx, fasthttp.StatusBadRequest, problem)
		return
	}
	if _, ok := wantsJSON(ctx); !ok {
		return // before the wait
	}
	all := s.options.Ledger(ctx, at, wait)
	if all == nil {
		all = []ledger.Entry{}
	}
	show(ctx, all, func(w *tabwriter.Writer) {
		if len(all) == 0 {
			fmt.Fprintln(w, "no endpoint is on its way out")
		}
		for i := range all {
			if i > 0 {
				fmt.Fprintln(w)
			}
			writeEntry(w, &all[i])
		}
	})
}

// ledgerWait reads ?wait=: a duration, or seconds.
func ledgerWait(text string) (wait time.Duration, problem string) {
	if text == "" {
		return 0, ""
	}
	wait, err := time.ParseDuration(text)
	if seconds, notNumber := strconv.ParseFloat(text, 64); err != nil && notNumber == nil {
		wait, err = time.Duration(seconds*float64(time.Second)), nil
	}
	if err != nil || wait < 0 || wait > maxLedgerWait {
		return 0, fmt.Sprintf("wait must be a duration of at most %s, as 30s", maxLedgerWait)
	}
	return wait, ""
}

// writeEntry is an entry for people.
func writeEntry(w *tabwriter.Writer, e *ledger.Entry) {
	if e.Gone {
		fmt.Fprintf(w, "%s  %s: gone, nothing uses it\n", e.Endpoint, e.State)
	} else {
		fmt.Fprintf(w, "%s  %s: %s\n", e.Endpoint, e.State, e.Held)
	}
	w.Flush() // what follows is aligned by itself
	fmt.Fprintf(w, "  configuration\treceived %s\tin use %s\n", orDash(e.Configuration.Received), orDash(e.Configuration.InUse))
	for _, s := range e.Clusters {
		fmt.Fprintf(w, "  cluster %s\t%s\thosts %d\t%s\n", s.Cluster, s.State, s.Hosts, orDash(written(s)))
	}
	for _, worker := range e.Workers {
		if worker.Silent {
			fmt.Fprintf(w, "  worker %d\tsilent\n", worker.ID)
			continue
		}
		fmt.Fprintf(w, "  worker %d\tconfiguration %s\t%s\n", worker.ID, orDash(worker.Configuration), hostVersions(e, &worker))
		for _, h := range worker.Holdings {
			may := "not picked"
			if h.Pickable {
				may = "picked"
			}
			oldest := ""
			if h.Streams > 0 {
				oldest = fmt.Sprintf(" (oldest %s)", h.Oldest)
			}
			fmt.Fprintf(w, "  worker %d\tcluster %s\t%s\tstreams %d%s\tconnections %d (idle %d)\n",
				worker.ID, h.Cluster, may, h.Streams, oldest, h.Connections, h.Idle)
		}
	}
}

// written is where an endpoint is written, or when it left.
func written(s ledger.Standing) string {
	if s.Left.IsZero() {
		return s.Origin
	}
	return "left " + s.Left.UTC().Format(time.RFC3339)
}

// hostVersions are the host sets that the worker uses, in the order of the clusters.
func hostVersions(e *ledger.Entry, worker *ledger.Worker) string {
	var all []string
	for _, s := range e.Clusters {
		if version, there := worker.Hosts[s.Cluster]; there {
			all = append(all, fmt.Sprintf("%s: hosts %d", s.Cluster, version))
		}
	}
	return orDash(strings.Join(all, ", "))
}
