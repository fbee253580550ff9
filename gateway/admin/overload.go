package admin

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/valyala/fasthttp"
)

// Overload is what the gateway measures of its resources, and what it does about
// them.
type Overload struct {
	Resources []OverloadResource `json:"resources"`
	Actions   []OverloadAction   `json:"actions"`
}

// OverloadResource is a resource that is watched.
type OverloadResource struct {
	Name     string  `json:"name"`
	Pressure float64 `json:"pressure"` // share of the limit that is used
	Used     float64 `json:"used"`     // bytes, CPUs, connections, descriptors, seconds
	Limit    float64 `json:"limit"`
}

// OverloadAction is an action that has a trigger.
type OverloadAction struct {
	Name     string   `json:"name"`
	Envoy    string   `json:"envoy"`             // its name there
	Level    float64  `json:"level"`             // 0: not taken; 1: in full
	Because  string   `json:"because,omitempty"` // "memory 93 %", while it is taken
	Starts   uint64   `json:"starts"`            // how often it began
	Triggers []string `json:"triggers"`          // "memory 85%-95%"
}

func (s *Server) overload(ctx *fasthttp.RequestCtx) {
	o := s.options.Overload()
	show(ctx, o, func(w *tabwriter.Writer) {
		fmt.Fprintln(w, "RESOURCE\tPRESSURE\tUSED\tLIMIT")
		for _, r := range o.Resources {
			fmt.Fprintf(w, "%s\t%.1f %%\t%.6g\t%.6g\n", r.Name, r.Pressure*100, r.Used, r.Limit)
		}
		fmt.Fprintln(w, "\nACTION\tLEVEL\tBECAUSE\tBEGAN\tTRIGGERS")
		for _, a := range o.Actions {
			fmt.Fprintf(w, "%s\t%.0f %%\t%s\t%d\t%s\n", a.Name, a.Level*100, orDash(a.Because), a.Starts, strings.Join(a.Triggers, ", "))
		}
	})
}
