package controlplane

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// The guard outlives this process by design: it waits for its standard input to
// end, which the kernel sees to however we go. A signal to ourselves, or
// Pdeathsig, would miss SIGKILL or the programs that envtest starts for us, and
// Pdeathsig also fires when merely the thread ends that started a program.
const guardScript = `
trap '' HUP INT TERM
cat >/dev/null
for file in "$1"/` + runDir + `/*; do
	[ -e "$file" ] && kill -s KILL -- "-$(cat "$file")"
done
rm -rf "$1" || { sleep 1; rm -rf "$1"; }
`

type guard struct {
	cmd  *exec.Cmd
	pipe io.Closer
}

func startGuard(dir string) (*guard, error) {
	cmd := exec.Command("/bin/sh", "-c", guardScript, "guard", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the process that cleans up after us: %w", err)
	}
	return &guard{cmd: cmd, pipe: pipe}, nil
}

// dismiss makes the guard do its work now: it kills what is still there, removes
// the directory and is gone when this returns.
func (g *guard) dismiss() {
	_ = g.pipe.Close()
	// Its exit status is that of the last kill or rm, which says nothing: what
	// counts is that the directory is gone.
	_ = g.cmd.Wait()
}

const (
	runDir      = "run"
	launcherDir = "launch"
	logDir      = "log"
)

// launcher writes a script that notes its process id where the guard looks for it, and
// its arguments for a restart, and then becomes the program. The note is made before the program starts, so
// no program ever runs that the guard does not know; and once
// the directory is gone the note fails and nothing starts.
func (c *ControlPlane) launcher(name, program string) (string, error) {
	// envtest asks a program for its --help to learn which flags it has. That run is
	// short and must not overwrite, or stand for, the real one.
	script := fmt.Sprintf("#!/bin/sh\nset -e\n[ \"$1\" = --help ] || { echo $$ >%s; printf '%%s\\n' \"$@\" >%s; }\nexec %s \"$@\"\n",
		shellQuote(c.pidFile(name)), shellQuote(c.argumentsFile(name)), shellQuote(program))
	path := filepath.Join(c.dir, launcherDir, name)
	return path, os.WriteFile(path, []byte(script), 0o700) //nolint:gosec // a script has to be executable
}

func shellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func (c *ControlPlane) pidFile(name string) string { return filepath.Join(c.dir, runDir, name) }

func (c *ControlPlane) argumentsFile(name string) string {
	return filepath.Join(c.dir, launcherDir, name+".arguments")
}

func (c *ControlPlane) logFile(name string) string {
	return filepath.Join(c.dir, logDir, name+".log")
}
