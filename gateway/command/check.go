package command

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// checkCommand is "longmen check": every problem, and nothing else happens.
func checkCommand() *cobra.Command {
	var file string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check [-c gateway.yaml]",
		Short: "Say what is wrong with a configuration",
		Long: `Say what is wrong with a configuration: every problem with its place, and what was
probably meant. Exit code 0 if it can be served (there may be warnings), 1 if not.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := readConfig(file, cmd.InOrStdin())
			if err != nil {
				return err
			}
			l := load(file, text, sources{}, nil)
			out := cmd.OutOrStdout()
			if asJSON {
				list, err := l.problems.JSON()
				if err != nil {
					return err
				}
				if _, err := out.Write(list); err != nil {
					return err
				}
			} else if err := l.report(out); err != nil {
				return err
			}
			if l.snapshot == nil {
				return errReported
			}
			return nil
		},
	}
	fileFlag(cmd, &file)
	cmd.Flags().BoolVar(&asJSON, "json", false, "write the problems as JSON, for tools")
	return cmd
}

// report writes the problems and their number, or that all is well.
func (l *loaded) report(w io.Writer) error {
	if err := l.render(w); err != nil {
		return err
	}
	if len(l.problems) > 0 {
		if _, err := fmt.Fprintln(w, tally(l.problems)); err != nil || l.snapshot == nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "%s is good: version %s, %s, %s, %s\n", l.file, l.snapshot.Version,
		count(len(l.set.Listeners), "listener"), count(len(l.set.Routes), "route table"), count(len(l.set.Clusters), "cluster"))
	return err
}
