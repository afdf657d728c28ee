package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// cpu is the time that processes have computed.
type cpu struct{ user, system time.Duration }

func (c cpu) minus(other cpu) cpu { return cpu{c.user - other.user, c.system - other.system} }

// tick is in what the kernel counts CPU time.
const tick = 10 * time.Millisecond

// cpuOf is what a process and its children have computed, as the kernel has it.
func cpuOf(pid int) (sum cpu, err error) {
	family, err := family(pid)
	if err != nil {
		return cpu{}, err
	}
	for _, pid := range family {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return cpu{}, err
		}
		_, rest, _ := bytes.Cut(stat, []byte(") ")) // behind the name, which may have blanks
		fields := strings.Fields(string(rest))
		user, err1 := strconv.Atoi(fields[11])
		system, err2 := strconv.Atoi(fields[12])
		if err1 != nil || err2 != nil {
			return cpu{}, fmt.Errorf("the times of process %d: %s", pid, rest)
		}
		sum.user += time.Duration(user) * tick
		sum.system += time.Duration(system) * tick
	}
	return sum, nil
}

// residentOf is the memory in bytes that a process and its children have resident. What they share is counted for each.
func residentOf(pid int) (sum int64, err error) {
	family, err := family(pid)
	if err != nil {
		return 0, err
	}
	for _, pid := range family {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(string(status)) {
			if size, found := strings.CutPrefix(line, "VmRSS:"); found {
				kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(size), " kB"), 10, 64)
				if err != nil {
					return 0, err
				}
				sum += kib << 10
			}
		}
	}
	return sum, nil
}

// family is a process and its children.
func family(pid int) ([]int, error) {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil || len(lists) == 0 {
		return nil, fmt.Errorf("process %d is not to be seen under /proc", pid)
	}
	all := []int{pid}
	for _, list := range lists {
		children, err := os.ReadFile(list)
		if err != nil {
			return nil, err
		}
		for _, child := range strings.Fields(string(children)) {
			pid, err := strconv.Atoi(child)
			if err != nil {
				return nil, err
			}
			all = append(all, pid)
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}
