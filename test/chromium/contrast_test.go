package chromium

import (
	"math"
	"testing"
)

func TestContrastIsThatOfWCAG(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ink         string
		backgrounds []string
		want        float64
	}{
		{"rgb(0, 0, 0)", []string{"rgb(255, 255, 255)"}, 21},
		{"rgb(255, 255, 255)", []string{"rgb(255, 255, 255)"}, 1},
		{"rgb(118, 118, 118)", []string{"rgb(255, 255, 255)"}, 4.54},
		{"rgb(119, 119, 119)", []string{"rgba(0, 0, 0, 0)", "rgb(255, 255, 255)"}, 4.48},
		{"rgb(255, 0, 0)", []string{"rgb(0, 0, 0)", "rgb(255, 255, 255)"}, 5.25},
		{"rgba(0, 0, 0, 0.5)", []string{"rgb(255, 255, 255)"}, 3.98},
		{"rgb(0, 0, 0)", []string{"rgba(0, 0, 0, 0.5)", "rgb(255, 255, 255)"}, 5.28},
	} {
		ink, ground, err := Painted(c.ink, c.backgrounds)
		if got := Contrast(ink, ground); err != nil || math.Abs(got-c.want) > 0.01 {
			t.Errorf("%s on %v: %.3f %v, want %.2f", c.ink, c.backgrounds, got, err, c.want)
		}
	}
	for _, backgrounds := range [][]string{nil, {"rgba(0, 0, 0, 0)"}, {"rgba(255, 255, 255, 0.9)"}, {"oklab(1 0 0)", "rgb(0, 0, 0)"}} {
		if _, _, err := Painted("rgb(0, 0, 0)", backgrounds); err == nil {
			t.Errorf("%q counts as opaque", backgrounds)
		}
	}
}
