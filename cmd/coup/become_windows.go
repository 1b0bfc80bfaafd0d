package main

import "os"

// become has another program do this process's work to its end. Windows can't
// replace a process; this one only waits, and returns only if that fails.
func become(program string, args ...string) error {
	p, err := os.StartProcess(program, args, &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		return err
	}
	end, err := p.Wait()
	if err != nil {
		return err
	}
	os.Exit(end.ExitCode())
	return nil
}
