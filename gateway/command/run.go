package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// runCommand is "longmen run". start makes the gateway that it runs.
func runCommand(start starter) *cobra.Command {
	var file, to, bind string
	cmd := &cobra.Command{
		Use:   "run [-c gateway.yaml | --to URL [--bind ADDRESS]]",
		Short: "Serve",
		Long: `Serve what the configuration says. It is read again on SIGHUP and when the file, or a certificate that it
names, changes; a file with problems changes nothing. SIGHUP opens all logs anew, too. SIGTERM and SIGINT drain: no new connections, what is under way is
finished; a second one stops at once.

With --to no file is needed: one listener hands every request to one service.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, name, err := runSource(cmd, file, to, bind)
			if err != nil {
				return err
			}
			r := &runner{file: name, from: sources{flags: cmd.Flags()}, in: cmd.InOrStdin(), errOut: cmd.ErrOrStderr()}
			first := load(name, text, r.from, nil)
			if first.snapshot == nil {
				if err := first.report(r.errOut); err != nil {
					return err
				}
				return errReported
			}
			signals := make(chan os.Signal, 4)
			signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
			defer signal.Stop(signals)
			return r.run(cmd.Context(), first, start, signals)
		},
	}
	fileFlag(cmd, &file)
	cmd.Flags().String("mode", "", "edge")
	cmd.Flags().String("workers", "", "worker loops: auto (one for each usable CPU) or a number")
	cmd.Flags().String("admin", "", `admin address such as 127.0.0.1:15000 (port 0: any), unix:/path, or off`)
	cmd.Flags().StringVar(&to, "to", "", "serve this service without any file, such as http://localhost:3000")
	cmd.Flags().StringVar(&bind, "bind", ":8080", "address to listen on, with --to")
	return cmd
}

// runSource is the text to serve from, and the name that it has in messages.
func runSource(cmd *cobra.Command, file, to, bind string) (text []byte, name string, err error) {
	if to == "" {
		if cmd.Flags().Changed("bind") {
			return nil, "", misusef("--bind goes with --to; the file's listeners say for themselves where they listen")
		}
		if text, err = readConfig(file, cmd.InOrStdin()); errors.Is(err, os.ErrNotExist) && !cmd.Flags().Changed("config") {
			err = fmt.Errorf("%w (name a file with -c, or serve one service with --to URL)", err)
		}
		return text, file, err
	}
	if cmd.Flags().Changed("config") {
		return nil, "", misusef("-c and --to exclude each other")
	}
	text, err = quickConfig(to, bind)
	return text, quickFile, err
}

// run serves until the gateway ends.
func (r *runner) run(ctx context.Context, first *loaded, start starter, signals <-chan os.Signal) error {
	closer, err := r.openLog(first.settings)
	if err != nil {
		return err
	}
	defer closer.Close()
	for _, text := range strayVariables(os.Environ()) {
		r.log.Warn(text)
	}
	r.settings, r.issued = first.settings, make(chan struct{}, 1)
	r.keep(first)
	if r.gateway, err = start(r); err != nil {
		return err
	}
	r.warnings(first)
	if err := r.gateway.Apply(first.snapshot); err != nil {
		return err
	}
	r.log.Info("serving", "version", first.snapshot.Version, "file", r.file)
	var changes <-chan []byte
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if r.file != quickFile && r.file != "-" {
		w, err := newWatcher(r.file, first.text, r.log)
		if err != nil {
			r.log.Warn("the file is not watched; SIGHUP reads it again", "file", r.file, "error", err)
		} else {
			w.use(first.files)
			go w.run(ctx)
			r.watcher, changes = w, w.change
		}
	}
	r.tidy()
	return r.serve(ctx, stop, signals, changes)
}

// serve does what signals and changes of the file ask for.
func (r *runner) serve(ctx context.Context, stop func(), signals <-chan os.Signal, changes <-chan []byte) error {
	done := make(chan error, 1)
	go func() { done <- r.gateway.Run(ctx) }()
	draining := false
	for {
		select {
		case err := <-done:
			if errors.Is(err, context.Canceled) {
				err = nil
			}
			return err
		case s := <-signals:
			switch {
			case s == syscall.SIGHUP:
				r.reopenLogs()
				if draining {
					r.log.Warn("draining: the configuration is not read again")
					continue
				}
				r.reread()
				r.tidy()
			case draining:
				r.log.Warn("stopping at once", "signal", s.String())
				stop()
			default:
				draining = true
				r.log.Info("draining", "signal", s.String(), "timeout", r.settings.Drain.Timeout)
				r.gateway.Drain()
			}
		case text := <-changes:
			if !draining {
				r.reload(text)
				r.tidy()
			}
		case <-r.issued:
			if !draining {
				r.renewed()
				r.tidy()
			}
		}
	}
}

// reopenLogs opens every log anew, after they were rotated.
func (r *runner) reopenLogs() {
	if r.logFile != nil {
		if err := r.logFile.Reopen(); err != nil {
			r.log.Error("the log cannot be opened anew", "error", err)
		}
	}
	if err := r.gateway.ReopenLogs(); err != nil {
		r.log.Error("access logs cannot be opened anew", "error", err)
	}
}

// reread reads the file because someone asked for it.
func (r *runner) reread() {
	if r.file == quickFile || r.file == "-" {
		r.log.Warn("there is no file to read again")
		return
	}
	text, err := readConfig(r.file, r.in)
	if err != nil {
		r.log.Error("configuration cannot be read; nothing was changed", "error", err, "serving", r.current.Load().snapshot.Version)
		return
	}
	r.reload(text)
}
