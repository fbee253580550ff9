// Package command is the command line of longmen: one file a command.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitGood     = 0
	exitProblems = 1 // problems found, or the work failed
	exitMisuse   = 2 // the command line itself is wrong
)

// defaultFile is read unless -c names another.
const defaultFile = "gateway.yaml"

// errReported ends a command whose problems have been written already.
var errReported = errors.New("problems were found")

// misuse is an error of the one who wrote the command line.
type misuse struct{ error }

func (m misuse) Unwrap() error { return m.error }

func misusef(format string, args ...any) error { return misuse{fmt.Errorf(format, args...)} }

// Main runs the command that args (without the program's name) ask for and
// returns the exit code.
func Main(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	return execute(ctx, rootCommand(startGateway), args, in, out, errOut)
}

func execute(ctx context.Context, root *cobra.Command, args []string, in io.Reader, out, errOut io.Writer) int {
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	var wrong misuse
	switch {
	case err == nil:
		return exitGood
	case errors.Is(err, errReported):
		return exitProblems
	case errors.As(err, &wrong):
		fmt.Fprintf(errOut, "longmen: %v\nSee longmen --help.\n", err)
		return exitMisuse
	}
	fmt.Fprintf(errOut, "longmen: %v\n", err)
	return exitProblems
}

// rootCommand is the tree of all commands; start makes what "run" runs.
func rootCommand(start starter) *cobra.Command {
	root := &cobra.Command{
		Use:   "longmen",
		Short: "Longmen is an edge gateway: one file, one binary",
		Long: `Longmen is an edge gateway: one file, one binary.

  longmen run                            serve gateway.yaml
  longmen run --to http://localhost:3000 serve one service, without any file
  longmen check                          say what is wrong with gateway.yaml
  longmen explain http://example.com/x   say what becomes of a request

Exit codes: 0 good, 1 problems found, 2 misuse.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			text := fmt.Sprintf("unknown command %q", args[0])
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				text += fmt.Sprintf("; did you mean %q?", near[0])
			}
			return misuse{errors.New(text)}
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(cmd.ErrOrStderr())
			if err := cmd.Help(); err != nil {
				return err
			}
			return misusef("a command is missing")
		},
		SuggestionsMinimumDistance: 2,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return misuse{err} })
	root.AddCommand(runCommand(start), checkCommand(), explainCommand(), diffCommand(), dumpCommand(), waitGoneCommand(), certCommand(), demoCommand(), versionCommand())
	for _, sub := range root.Commands() {
		check := sub.Args
		sub.Args = func(cmd *cobra.Command, args []string) error {
			if check == nil {
				return nil
			}
			if err := check(cmd, args); err != nil {
				return misuse{err}
			}
			return nil
		}
	}
	return root
}

// fileFlag adds -c to a command.
func fileFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "config", "c", defaultFile, `configuration to read; "-" is standard input`)
}
