"""The report of a run: one HTML file, without network or scripts, that shows what was learned.

`findings` (what was taken for what), `insight` (kernels, maps, Grad-CAM), `curves` (SVG),
`pictures` (PNG), `page` (the HTML), `writer` (when it is written).
"""
