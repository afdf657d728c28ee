package chromium

import "testing"

// Text is a text on the page, where it is and how it is painted.
type Text struct {
	Text, Colour             string
	Backgrounds              []string
	Opacity                  float64
	Pictures                 bool
	Left, Right, Top, Bottom float64
}

// ReadTexts is an expression whose value are all texts on the page, as Text.
const ReadTexts = `(() => {
	const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walker.nextNode()) {
		const node = walker.currentNode, range = document.createRange();
		if (!node.data.trim()) continue;
		range.selectNodeContents(node);
		const box = range.getBoundingClientRect(), backgrounds = [];
		let opacity = 1, pictures = false;
		for (let e = node.parentElement; e; e = e.parentElement) {
			const style = getComputedStyle(e);
			backgrounds.push(style.backgroundColor);
			opacity *= style.opacity;
			pictures ||= style.backgroundImage !== "none" || style.visibility !== "visible";
		}
		found.push({Text: node.data, Colour: getComputedStyle(node.parentElement).color, Backgrounds: backgrounds, Opacity: opacity,
			Pictures: pictures, Left: box.left, Right: box.right, Top: box.top, Bottom: box.bottom});
	}
	return found;
})()`

// LeastContrast is what texts of any size must have (WCAG 2.2, 1.4.3).
const LeastContrast = 4.5

// WantColours checks every text in light, in dark, and in the colours that a reader forces on all pages.
func WantColours(t *testing.T, b *Tab) {
	t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		for _, forced := range []string{"none", "active"} {
			b.Prefer(t, "prefers-color-scheme", scheme, "forced-colors", forced)
			for _, text := range Eval[[]Text](t, b, ReadTexts) {
				ink, ground, err := Painted(text.Colour, text.Backgrounds)
				if err != nil || text.Opacity != 1 || text.Pictures {
					t.Fatalf("%s, forced %s: %+v cannot be judged: %v", scheme, forced, text, err)
				}
				if ratio := Contrast(ink, ground); ratio < LeastContrast {
					t.Errorf("%s, forced %s: %q has a contrast of %.2f", scheme, forced, text.Text, ratio)
				}
				if isDark := ground.luminance() < 0.2; isDark != (scheme == "dark") {
					t.Errorf("%s, forced %s: the ground of %q has the luminance %.2f", scheme, forced, text.Text, ground.luminance())
				}
			}
		}
	}
	b.Prefer(t)
}
