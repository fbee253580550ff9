package admin

import (
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/valyala/fasthttp"
)

// Standby is where the switch of one cluster stands.
type Standby struct {
	Cluster string `json:"cluster"`
	State   string `json:"state"` // active or standby
	// Configured is the state that the configuration asks for; Override tells that State was
	// asked for here, and Since when.
	Configured string    `json:"configured"`
	Override   bool      `json:"override"`
	Since      time.Time `json:"since,omitzero"`
	Local      int       `json:"local"`   // percent that stays in standby
	Forward    int       `json:"forward"` // percent that goes on to To then
	To         string    `json:"to"`
	// Capacity and ToCapacity are how much of all requests the healthy endpoints of either side
	// can take, in percent.
	Capacity   int    `json:"capacity"`
	ToCapacity int    `json:"to_capacity"`
	Origin     string `json:"origin"`
}

// StandbyChange is the answer to a switch: where the clusters' switches stand now, and that
// so many workers have taken notice of it. Requests that begin from now on follow it.
type StandbyChange struct {
	Workers  int       `json:"workers"`
	Took     string    `json:"took"`
	Clusters []Standby `json:"clusters"`
}

// Errors of Options.SwitchStandby.
var (
	ErrNoCluster = errors.New("no such cluster")
	ErrNoStandby = errors.New("no standby is configured")
)

// The states that POST /standby takes.
const (
	StandbyActive     = "active"
	StandbyStandby    = "standby"
	StandbyConfigured = "configured" // as the configuration says: withdraws what was asked for here
)

func (s *Server) standby(ctx *fasthttp.RequestCtx) {
	all := s.options.Standby()
	if all == nil {
		all = []Standby{}
	}
	show(ctx, all, func(w *tabwriter.Writer) { writeStandby(w, all) })
}

func writeStandby(w *tabwriter.Writer, all []Standby) {
	if len(all) == 0 {
		fmt.Fprintln(w, "no cluster has a standby")
		return
	}
	fmt.Fprintln(w, "cluster\tstate\tby\there\tforwarded\tto\tcapacity\tof the other\torigin")
	for _, c := range all {
		by := "configuration"
		if c.Override {
			by = "admin, " + c.Since.UTC().Format(time.RFC3339)
			if c.State != c.Configured {
				by += " (configured: " + c.Configured + ")"
			}
		}
		local, forward := 100, 0
		if c.State == StandbyStandby {
			local, forward = c.Local, c.Forward
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d %%\t%d %%\t%s\t%d %%\t%d %%\t%s\n",
			c.Cluster, c.State, by, local, forward, c.To, c.Capacity, c.ToCapacity, orDash(c.Origin))
	}
}

// setStandby throws the switch of one cluster, or of all that have one.
func (s *Server) setStandby(ctx *fasthttp.RequestCtx) {
	name, state := string(ctx.FormValue("cluster")), string(ctx.FormValue("state")) // query or form
	switch {
	case name == "":
		fail(ctx, fasthttp.StatusBadRequest, "cluster=NAME says which; cluster=* is all that have a standby")
		return
	case state != StandbyActive && state != StandbyStandby && state != StandbyConfigured:
		fail(ctx, fasthttp.StatusBadRequest, "state must be active, standby or configured (which withdraws what was asked for here)")
		return
	}
	change, err := s.options.SwitchStandby(name, state)
	switch {
	case errors.Is(err, ErrNoCluster):
		fail(ctx, fasthttp.StatusNotFound, err.Error())
	case errors.Is(err, ErrNoStandby):
		fail(ctx, fasthttp.StatusConflict, err.Error())
	case err != nil:
		fail(ctx, fasthttp.StatusInternalServerError, err.Error())
	default:
		show(ctx, change, func(w *tabwriter.Writer) {
			writeStandby(w, change.Clusters)
			fmt.Fprintf(w, "%d workers have taken notice, after %s\n", change.Workers, change.Took)
		})
	}
}
