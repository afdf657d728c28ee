package browser

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// colour is an sRGB colour, all from 0 to 1.
type colour struct{ red, green, blue, alpha float64 }

// parseColour reads a computed colour: rgb(1, 2, 3) or rgba(1, 2, 3, 0.5).
func parseColour(s string) (c colour, err error) {
	s = strings.TrimSpace(s)
	if c.alpha = 1; strings.HasPrefix(s, "rgba(") {
		_, err = fmt.Sscanf(s, "rgba(%f, %f, %f, %f)", &c.red, &c.green, &c.blue, &c.alpha)
	} else {
		_, err = fmt.Sscanf(s, "rgb(%f, %f, %f)", &c.red, &c.green, &c.blue)
	}
	c.red, c.green, c.blue = c.red/255, c.green/255, c.blue/255
	if err != nil {
		err = fmt.Errorf("%q is no computed colour: %w", s, err)
	}
	return c, err
}

// over returns what is seen of c when it is painted over another colour.
func (c colour) over(below colour) colour {
	mix := func(a, b float64) float64 { return a*c.alpha + b*(1-c.alpha) }
	return colour{mix(c.red, below.red), mix(c.green, below.green), mix(c.blue, below.blue), mix(1, below.alpha)}
}

// luminance is the relative luminance (WCAG 2.2).
func (c colour) luminance() float64 {
	linear := func(v float64) float64 {
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c.red) + 0.7152*linear(c.green) + 0.0722*linear(c.blue)
}

// contrast is the contrast ratio of two opaque colours, from 1 to 21 (WCAG 2.2).
func contrast(a, b colour) float64 {
	light, dark := a.luminance(), b.luminance()
	if light < dark {
		light, dark = dark, light
	}
	return (light + 0.05) / (dark + 0.05)
}

// painted returns the colour and the background that are seen, of a computed colour and the computed backgrounds of its
// element and of all around it, the innermost first.
func painted(ink string, backgrounds []string) (seen, ground colour, err error) {
	for i := len(backgrounds) - 1; i >= 0; i-- {
		c, err := parseColour(backgrounds[i])
		if err != nil {
			return seen, ground, err
		}
		ground = c.over(ground)
	}
	if ground.alpha < 1 {
		return seen, ground, fmt.Errorf("no background is opaque: %q", backgrounds)
	}
	c, err := parseColour(ink)
	return c.over(ground), ground, err
}

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
		ink, ground, err := painted(c.ink, c.backgrounds)
		if got := contrast(ink, ground); err != nil || math.Abs(got-c.want) > 0.01 {
			t.Errorf("%s on %v: %.3f %v, want %.2f", c.ink, c.backgrounds, got, err, c.want)
		}
	}
	for _, backgrounds := range [][]string{nil, {"rgba(0, 0, 0, 0)"}, {"rgba(255, 255, 255, 0.9)"}, {"oklab(1 0 0)", "rgb(0, 0, 0)"}} {
		if _, _, err := painted("rgb(0, 0, 0)", backgrounds); err == nil {
			t.Errorf("%q counts as opaque", backgrounds)
		}
	}
}
