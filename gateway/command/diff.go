package command

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"longmen/gateway/resource"
	"longmen/gateway/source/yaml"
)

// diffCommand is "longmen diff": what a change would change.
func diffCommand() *cobra.Command {
	var bind string
	cmd := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Say what changes between two configurations, and whom it touches",
		Long: `Say which resources are added, removed and changed between two configurations, by meaning and not by
text, and what becomes of connections. With --admin the connections of a running gateway are counted.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			before, err := loadGood(cmd, args[0], nil)
			if err != nil {
				return err
			}
			after, err := loadGood(cmd, args[1], before)
			if err != nil {
				return err
			}
			d := &difference{before: before, after: after}
			if bind != "" {
				if err := d.count(cmd.Context(), live{bind}); err != nil {
					return err
				}
			}
			return d.write(cmd.OutOrStdout())
		},
	}
	adminFlag(cmd, &bind)
	return cmd
}

// loadGood loads a file that must be good, on top of another one.
func loadGood(cmd *cobra.Command, file string, previous *loaded) (*loaded, error) {
	text, err := readConfig(file, cmd.InOrStdin())
	if err != nil {
		return nil, err
	}
	var l *loaded
	if previous == nil {
		l = load(file, text, sources{}, nil)
	} else {
		l = load(file, text, sources{}, previous.snapshot)
	}
	if l.snapshot != nil {
		return l, nil
	}
	if err := l.report(cmd.ErrOrStderr()); err != nil {
		return nil, err
	}
	return nil, errReported
}

// difference compares two good configurations.
type difference struct {
	before, after *loaded
	listeners     map[string]liveListener // nil: offline
	clusters      map[string]liveCluster
}

// count asks a running gateway for its connections.
func (d *difference) count(ctx context.Context, l live) (err error) {
	if d.listeners, err = l.listeners(ctx); err == nil {
		d.clusters, err = l.clusters(ctx)
	}
	return err
}

// kinds are the maps of resources, in the order of the file.
var kinds = []string{"listeners", "routes", "clusters", "secrets"}

func (d *difference) write(w io.Writer) error {
	before, err := d.before.tree()
	if err != nil {
		return err
	}
	after, err := d.after.tree()
	if err != nil {
		return err
	}
	var out strings.Builder
	added, removed, changed := 0, 0, 0
	for _, kind := range kinds {
		b, _ := before[kind].(map[string]any)
		a, _ := after[kind].(map[string]any)
		names := slices.Collect(maps.Keys(b))
		for name := range a {
			if _, both := b[name]; !both {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		for _, name := range names {
			path := kind + "." + name
			_, was := b[name]
			_, is := a[name]
			switch changes := compareTrees("", b[name], a[name]); {
			case !was:
				added++
				fmt.Fprintf(&out, "added    %s   %s\n", path, d.after.at(path))
			case !is:
				removed++
				fmt.Fprintf(&out, "removed  %s   %s\n", path, d.before.at(path))
			case len(changes) > 0:
				changed++
				fmt.Fprintf(&out, "changed  %s   %s\n", path, d.after.at(path))
				d.fields(&out, path, changes)
			}
		}
	}
	settings := compareTrees("", any(d.before.process), any(d.after.process))
	if len(settings) > 0 {
		fmt.Fprintf(&out, "changed  settings of the process (they count from the next start)\n")
		d.fields(&out, "", settings)
	}
	if added+removed+changed+len(settings) == 0 {
		_, err := fmt.Fprintf(w, "nothing changes (version %s)\n", d.after.snapshot.Version)
		return err
	}
	fmt.Fprintf(&out, "%d added, %d removed, %d changed: version %s becomes %s\n", added, removed, changed,
		d.before.snapshot.Version, d.after.snapshot.Version)
	d.impact(&out)
	_, err = io.WriteString(w, out.String())
	return err
}

// fields writes the changes within a resource, each with its places.
func (d *difference) fields(out *strings.Builder, path string, changes []treeChange) {
	for _, change := range changes {
		full := change.path
		switch {
		case path == "":
		case strings.HasPrefix(change.path, "["): // the resource is a list
			full = path + change.path
		case change.path != "":
			full = path + "." + change.path
		default:
			full = path
		}
		what := change.path
		if what != "" {
			what += ": "
		}
		switch {
		case change.before == nil:
			fmt.Fprintf(out, "           + %s%s   %s\n", what, showValue(change.after), d.after.at(full))
		case change.after == nil:
			fmt.Fprintf(out, "           - %s%s   %s\n", what, showValue(change.before), d.before.at(full))
		default:
			fmt.Fprintf(out, "           %s%s -> %s   %s -> %s\n", what, showValue(change.before), showValue(change.after),
				d.before.at(full), d.after.at(full))
		}
	}
}

// tree is the configuration in the vocabulary of gateway.yaml, written in one way
// whatever way the file has.
func (l *loaded) tree() (map[string]any, error) {
	text, err := yaml.Encode(l.set.WithoutKeys())
	if err != nil {
		return nil, err
	}
	return parseTree(text)
}

// at is the file and line of a part.
func (l *loaded) at(path string) string {
	origin := l.set.Origins.Find(resource.Path(path))
	origin.Column = 0
	return origin.String()
}
