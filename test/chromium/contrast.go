package chromium

import (
	"fmt"
	"math"
	"strings"
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

// Contrast is the contrast ratio of two opaque colours, from 1 to 21 (WCAG 2.2).
func Contrast(a, b colour) float64 {
	light, dark := a.luminance(), b.luminance()
	if light < dark {
		light, dark = dark, light
	}
	return (light + 0.05) / (dark + 0.05)
}

// Painted returns the colour and the background that are seen, of a computed colour and the computed backgrounds of its
// element and of all around it, the innermost first.
func Painted(ink string, backgrounds []string) (seen, ground colour, err error) {
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
