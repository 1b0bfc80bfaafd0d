package runner

import (
	"os"
	"runtime"
	"testing"
)

const (
	someLoad = "45.10 50.60 31.07 17/463 28000\n"
	someStat = "cpu  100 10 50 800 20 5 5 10 0 0\ncpu0 1 2 3\n"
)

func TestReadSample(t *testing.T) {
	got, err := readSample([]byte(someLoad), []byte(someStat))
	if want := (sample{ready: 17, all: 1000, stolen: 10}); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	for _, c := range [][2]string{
		{"", someStat}, {"45.10 50.60 31.07\n", someStat}, {"45.10 50.60 31.07 x/463 28000\n", someStat}, {"45.10 50.60 31.07 / 28000\n", someStat},
		{someLoad, ""}, {someLoad, "cpu 1 2 3\n"}, {someLoad, "intr 100 10 50 800 20 5 5 10 0 0\n"}, {someLoad, "cpu  100 10 50 800 20 5 5 x 0 0\n"},
	} {
		if got, err := readSample([]byte(c[0]), []byte(c[1])); err == nil {
			t.Errorf("%q and %q: %+v", c[0], c[1], got)
		}
	}
	if runtime.GOOS == "linux" {
		s, err := takeSample()
		if err != nil || s.ready < 1 || s.all <= 0 {
			t.Errorf("this machine: %+v, %v", s, err)
		}
	} else if _, err := os.Stat("/proc/loadavg"); err != nil {
		if _, err := takeSample(); err == nil {
			t.Error("a machine without /proc told how busy it is")
		}
	}
}

func TestReadyFor(t *testing.T) {
	for _, c := range []struct {
		all, stolen float64
		want        float64
	}{
		{1000, 0, 4}, {1000, 500, 8}, {1000, 1000, 400}, {0, 0, 4},
	} {
		if got := readyFor(8, 2, sample{all: 5, stolen: 5}, sample{all: 5 + c.all, stolen: 5 + c.stolen}); got != c.want {
			t.Errorf("%v of %v ticks stolen: %v, want %v", c.stolen, c.all, got, c.want)
		}
	}
}
