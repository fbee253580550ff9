package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"longmen/gateway/admin"
	"longmen/gateway/resource"
	"longmen/gateway/source/yaml"
)

// dumpCommand is "longmen dump": what a running gateway serves.
func dumpCommand() *cobra.Command {
	var as, bind string
	cmd := &cobra.Command{
		Use:   "dump [--as yaml|xds|json]",
		Short: "Write the configuration that a running gateway serves",
		Long:  "Write the configuration that a running gateway serves, as its admin API tells it.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch admin.DumpFormat(as) {
			case admin.DumpYAML, admin.DumpXDS, admin.DumpJSON:
			default:
				return misusef("--as %q: must be yaml, xds or json", as)
			}
			body, err := (live{bind}).get(cmd.Context(), "/config_dump", url.Values{"format": {as}})
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(body)
			return err
		},
	}
	cmd.Flags().StringVar(&as, "as", "yaml", "form: yaml, xds (resources as JSON) or json (the YAML as JSON)")
	cmd.Flags().StringVar(&bind, "admin", admin.DefaultBind, "admin address of the running gateway, or unix:/path")
	return cmd
}

// dumpConfig writes resources in the asked form, without private keys.
func dumpConfig(set *resource.Set, format admin.DumpFormat) ([]byte, error) {
	set = set.WithoutKeys()
	switch format {
	case admin.DumpYAML:
		return yaml.Encode(set)
	case admin.DumpJSON:
		text, err := yaml.Encode(set)
		if err != nil {
			return nil, err
		}
		tree, err := parseTree(text)
		if err != nil {
			return nil, err
		}
		return indented(tree)
	case admin.DumpXDS:
		return dumpXDS(set)
	}
	return nil, fmt.Errorf("format %q is not known", format)
}

// dumpXDS writes each kind of resource as a list of its messages' JSON form.
func dumpXDS(set *resource.Set) ([]byte, error) {
	var failed error
	kinds := map[string][]json.RawMessage{}
	add := func(kind string, m proto.Message) {
		text, err := protojson.Marshal(m)
		failed = errors.Join(failed, err)
		kinds[kind] = append(kinds[kind], text)
	}
	for _, l := range set.Listeners {
		add("listeners", l)
	}
	for _, r := range set.Routes {
		add("routes", r)
	}
	for _, c := range set.Clusters {
		add("clusters", c)
	}
	for _, e := range set.Endpoints {
		add("endpoints", e)
	}
	for _, s := range set.Secrets {
		add("secrets", s)
	}
	if failed != nil {
		return nil, failed
	}
	return indented(kinds)
}

func indented(value any) ([]byte, error) {
	text, err := json.MarshalIndent(value, "", "  ")
	return append(text, '\n'), err
}
