package plots

import (
	"fmt"
	"image/color"
	"strings"
)

// drawnNode is a node of the picture in the README.
type drawnNode struct {
	title   string
	width   int
	owner   []string
	pods    []string
	caption []string
	vms     bool
	unowned bool
}

// DrawPlacement draws who shares a kernel: the picture of the README.
func DrawPlacement(theme Theme) ([]byte, error) {
	const height, gap, top, kernel = 300, 16, 34, 196
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 960 %d" width="960" height="%[1]d" role="img" aria-labelledby="title description" font-family="Arial,Helvetica,sans-serif" font-size="14" fill="%s">
<title id="title">Which pods share a kernel</title>
<desc id="description">Node 1 has containers of the trust domain acme, confidential; node 2 has those of globex, internal. Node 3 has virtual machines of acme, globex and initech, each with a kernel of its own. Node 4 has pods without a tenant, and no tenant's pod joins them.</desc>
`, height, hex(theme.ink))
	x := 4
	for _, n := range []drawnNode{
		{title: "node 1", width: 200, owner: []string{"acme", "confidential"}, pods: []string{"web", "web", "cart"}, caption: []string{"containers of one", "trust domain"}},
		{title: "node 2", width: 200, owner: []string{"globex", "internal"}, pods: []string{"gateway", "queue"}, caption: []string{"containers of", "another"}},
		{title: "node 3, with Kata", width: 300, pods: []string{"acme batch", "globex api", "initech render"}, caption: []string{"VMs of any tenant,", "and no container"}, vms: true},
		{title: "node 4", width: 200, owner: []string{"no tenant"}, pods: []string{"wiki", "mail"}, caption: []string{"no tenant's pod", "joins these"}, unowned: true},
	} {
		line := theme.series[3]
		if n.unowned {
			line = theme.series[0]
		}
		fmt.Fprintf(&b, `<text x="%d" y="22" font-weight="bold">%s</text>`+"\n", x+2, n.title)
		rect(&b, x, top, n.width, kernel, theme.grid, "none", 2)
		for i, owner := range n.owner {
			fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle"%s>%s</text>`+"\n", x+n.width/2, top+26+20*i, weight(i), owner)
		}
		each := (n.width - 8*(len(n.pods)+1)) / len(n.pods)
		for i, pod := range n.pods {
			at, y, tall := x+8+i*(each+8), top+88, 44
			if n.vms {
				y, tall = top+14, 130
			}
			dashes := ` stroke-dasharray="4 3"`
			if n.vms {
				dashes = ""
			}
			rect(&b, at, y, each, tall, line, "none", 2, dashes)
			words := strings.Fields(pod)
			for j, word := range words {
				fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle"%s>%s</text>`+"\n", at+each/2, y+27+20*j, weight(j+len(n.owner)), word)
			}
			if n.vms {
				rect(&b, at+5, y+tall-36, each-10, 30, line, hex(theme.grid), 1)
				fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">kernel</text>`+"\n", at+each/2, y+tall-16)
			}
		}
		rect(&b, x+8, top+kernel-42, n.width-16, 34, theme.grid, hex(theme.grid), 1)
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">kernel of the node</text>`+"\n", x+n.width/2, top+kernel-20)
		for i, text := range n.caption {
			fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", x+n.width/2, top+kernel+26+20*i, text)
		}
		x += n.width + gap
	}
	b.WriteString("</svg>\n")
	return []byte(b.String()), nil
}

func rect(b *strings.Builder, x, y, width, height int, line color.Color, fill string, thick int, more ...string) {
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="%d" rx="6" fill="%s" stroke="%s" stroke-width="%d"%s/>`+"\n",
		x, y, width, height, fill, hex(line), thick, strings.Join(more, ""))
}

// weight makes the first line bold.
func weight(line int) string {
	if line == 0 {
		return ` font-weight="bold"`
	}
	return ""
}

func hex(c color.Color) string {
	const perByte = 8
	r, g, b, _ := c.RGBA()
	return fmt.Sprintf("#%02x%02x%02x", r>>perByte, g>>perByte, b>>perByte)
}
