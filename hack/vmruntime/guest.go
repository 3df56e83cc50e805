//go:build linux

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// beGuest is the first process in the machine: it mounts what every program expects, and runs the container's.
func beGuest() error {
	text, err := os.ReadFile("/" + guestCommand)
	if err != nil {
		return err
	}
	var c command
	if err := json.Unmarshal(text, &c); err != nil {
		return err
	}
	for kind, folder := range map[string]string{"proc": "/proc", "sysfs": "/sys", "devtmpfs": "/dev"} {
		if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // a root folder
			return err
		}
		if err := syscall.Mount(kind, folder, kind, 0, ""); err != nil {
			return err
		}
	}
	for _, variable := range c.Env {
		name, value, _ := strings.Cut(variable, "=")
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	cmd := exec.Command(c.Args[0], c.Args[1:]...)
	cmd.Dir = c.Dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd.Run()
}

func powerOff() {
	syscall.Sync()
	_ = syscall.Reboot(syscall.LINUX_REBOOT_CMD_RESTART)
}
