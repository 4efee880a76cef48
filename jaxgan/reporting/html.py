"""The frame of all reports: an HTML page that fetches nothing, its style, and inlined pictures."""

import base64
import io
from html import escape

from PIL import Image


def whole(title: str, body: str) -> str:
    """The page; its policy forbids it to fetch anything."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{text(title)}</title>
<style>{CSS}</style>
</head>
<body>
<main>{body}</main>
</body>
</html>
"""


def inlined(image: Image.Image, caption: str) -> str:
    """A figure with the picture in it, as PNG."""
    encoded = io.BytesIO()
    image.save(encoded, "PNG")
    source = base64.b64encode(encoded.getvalue()).decode()
    return (
        f'<figure><img alt="{text(caption)}" src="data:image/png;base64,{source}"'
        f' width="{image.width}" height="{image.height}">'
        f"<figcaption>{text(caption)}</figcaption></figure>"
    )


def count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'s' * (n != 1)}"


def text(x: object) -> str:
    """Escaped, for the page's text and its attributes."""
    return escape(str(x))


CSS = """
:root{--ink:#1a1a1a;--soft:#666;--line:#ddd;--paper:#fffffc;
--c0:#0072b2;--c1:#c84e00;--c2:#00835f;--c3:#a8508a;--c4:#8a6d00;--c5:#3b3b3b}
@media (prefers-color-scheme:dark){:root{--ink:#e6e4df;--soft:#a09d96;--line:#3a3936;
--paper:#161614;--c0:#56b4e9;--c1:#ff8c42;--c2:#2fc49a;--c3:#df94c1;--c4:#e6b800;--c5:#c9c9c9}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);
font:1.0625rem/1.55 "Iowan Old Style","Palatino Linotype",Palatino,Georgia,serif}
main{max-width:64rem;margin:0 auto;padding:2.5rem 1.1rem 5rem}
header,section{max-width:40rem}
section.wide{max-width:none}
section.wide>p{max-width:40rem}
.question{color:var(--soft);font-style:italic;margin:0}
h1{font-size:clamp(2.6rem,9vw,4.2rem);line-height:1.05;font-weight:400;margin:.35rem 0 .9rem;
letter-spacing:-.015em}
h2{font-size:1.45rem;font-weight:400;font-style:italic;margin:3.6rem 0 .8rem}
summary{cursor:pointer}
summary h2{display:inline}
section>details{margin-top:1.4rem}
section>details[open]>summary{margin-bottom:.8rem}
li pre{user-select:all}
h3{font-size:1.0625rem;font-weight:600;margin:0 0 .4rem;overflow-wrap:anywhere}
.lead{font-size:1.25rem;line-height:1.45;margin:0 0 1.8rem}
figure{margin:0 0 1.2rem}
figcaption,.note,small,caption{color:var(--soft);font-size:.875rem;line-height:1.4}
figcaption{margin-top:.3rem;overflow-wrap:anywhere}
svg{display:block;overflow:visible;font-family:system-ui,sans-serif}
svg text{fill:var(--ink);stroke:var(--paper);stroke-width:5;paint-order:stroke;
font-size:14px;font-variant-numeric:tabular-nums}
svg .tick{fill:var(--soft);font-size:12px}
.curves .tick{font-size:11px}
.rule{stroke:var(--line);stroke-width:1}
.zero{stroke:var(--ink);stroke-width:1.2}
.whisker{stroke:currentColor;stroke-width:2.5;stroke-linecap:round}
.seed{fill:var(--paper);stroke:currentColor;stroke-width:1;opacity:.75}
.dot{fill:currentColor}
polyline{fill:none;stroke:currentColor;stroke-linejoin:round}
.thin{stroke-width:.8;opacity:.45}
.thick{stroke-width:2}
.arm0{color:var(--c0)}.arm1{color:var(--c1)}.arm2{color:var(--c2)}
.arm3{color:var(--c3)}.arm4{color:var(--c4)}.arm5{color:var(--c5)}
.up{fill:var(--c0)}.down{fill:var(--c1)}.fall{stroke:var(--c1);stroke-width:2.5}
.guards{list-style:none;padding:0}
.guards li{margin:.6rem 0;padding-left:.8rem;border-left:3px solid var(--line)}
.guards .failed{border-left:6px double var(--c1)}
.key{display:inline-block;width:.9rem;height:.9rem;margin-right:.3rem;vertical-align:-.08rem}
table{border-collapse:collapse;width:100%;margin:1.4rem 0;font-family:system-ui,sans-serif;
font-size:.9375rem;line-height:1.4;font-variant-numeric:tabular-nums}
caption{text-align:left;padding-bottom:.5rem}
th,td{text-align:right;font-weight:400;vertical-align:top;padding:.5rem 0 .5rem .9rem;
border-bottom:1px solid var(--line)}
td{white-space:nowrap}
th:first-child{text-align:left;min-width:7.6rem;padding-left:0;overflow-wrap:anywhere}
thead th{color:var(--soft);font-size:.8125rem;vertical-align:bottom}
.words th,.words td{text-align:left;white-space:normal;overflow-wrap:anywhere}
code{display:inline-block;max-width:100%;font-size:.875em;overflow-wrap:anywhere}
td small,th small{display:block;font-size:.8125rem}
@media (max-width:30rem){table{font-size:.875rem}th,td{padding-left:.6rem}
.scroll td{white-space:normal}.scroll th:first-child{min-width:5rem}}
.scroll{overflow-x:auto}
.panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(19rem,100%),1fr));
gap:2rem 2.5rem;margin-top:1.6rem}
.curves{width:100%;height:auto;margin-bottom:.6rem}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(16rem,100%),1fr));gap:1.4rem;
max-width:56rem}
.pair figure{max-width:27.5rem}
.grids{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(9rem,46%),1fr));gap:.9rem;
max-width:56rem}
.pairs{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(14rem,100%),1fr));gap:1rem}
.pairs figure{margin:0}
.thumbs{display:grid;grid-template-columns:repeat(auto-fill,minmax(6.5rem,1fr));gap:.7rem;
max-width:none}
.thumbs figure{margin:0}
.thumbs figcaption{font-size:.6875rem;line-height:1.25}
.group{display:flex;flex-wrap:wrap;gap:.7rem;padding:.7rem 0;border-bottom:1px solid var(--line)}
.group figure{width:6.5rem;margin:0}
.group figcaption{font-size:.6875rem;line-height:1.25}
.pair+h3,.grids+h3{margin-top:2.4rem}
img{display:block;width:100%;height:auto}
dl{display:grid;grid-template-columns:minmax(5.5rem,auto) 1fr;gap:.35rem 1.2rem;
font-size:.9375rem;line-height:1.45}
dt{color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere}
details{margin:1rem 0}
summary{cursor:pointer}
pre{font-size:.8125rem;line-height:1.45;white-space:pre-wrap;overflow-wrap:anywhere}
@media print{.scroll{overflow:visible}
body{font-size:10.5pt;background:none}main{padding:0;max-width:none}
figure,tr,.pair{break-inside:avoid}h2,h3{break-after:avoid}}
"""
