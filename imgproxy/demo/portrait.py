"""A portrait with its subject far right of the middle: `smart` finds it, a crop of the middle does not."""

from __future__ import annotations

from random import Random

from imgproxy.demo.noise import grain
from imgproxy.engine import vips
from imgproxy.image.filters.base import Image

_WIDTH, _HEIGHT = 2400, 1600
_BLUR = 26
_LEAVES = ("#6f8f6a", "#8aa57b", "#54755f", "#a9bd8c", "#d8d7a5", "#48675b")

_SUBJECT = """
<linearGradient id="coat" x2="1" y2="1"><stop stop-color="#ffc83d"/><stop offset=".6" stop-color="#f2a71b"/>
 <stop offset="1" stop-color="#c97f0c"/></linearGradient>
<radialGradient id="skin" cx=".38" cy=".4" r=".75"><stop stop-color="#ffd9bd"/>
 <stop offset=".6" stop-color="#f2b994"/><stop offset="1" stop-color="#cf8763"/></radialGradient>
<linearGradient id="hat" x2="1"><stop stop-color="#1f9aa0"/><stop offset="1" stop-color="#0c5f6d"/>
</linearGradient>
<linearGradient id="hair" x2="1" y2=".6"><stop stop-color="#7d4526"/><stop offset="1" stop-color="#4a2413"/>
</linearGradient>
<radialGradient id="blush"><stop stop-color="#f0674f" stop-opacity=".55"/>
 <stop offset="1" stop-color="#f0674f" stop-opacity="0"/></radialGradient>
<g transform="translate(1830 0)">
 <path d="M-246,560C-300,860 -290,1010 -230,1120H230C290,1010 300,860 246,560Z" fill="url(#hair)"/>
 <path d="M-430,1600C-420,1290 -330,1180 -150,1120L0,1130 150,1120C330,1180 420,1290 430,1600Z"
  fill="url(#coat)"/>
 <path d="M-85,900H85V1130Q0,1210 -85,1130Z" fill="#d8946f"/>
 <path d="M-170,1110Q0,1200 170,1110L205,1190Q0,1390 -205,1190Z" fill="#c8382f"/>
 <path d="M20,1270L150,1215 185,1480 75,1500Z" fill="#b52d27"/>
 <path d="M-6,1330V1600" stroke="#b9750c" stroke-width="8"/>
 <g fill="#7a4d0a"><circle cx="-50" cy="1400" r="15"/><circle cx="-50" cy="1510" r="15"/></g>
 <path d="M-215,650C-215,430 215,430 215,650C220,840 120,985 0,985C-120,985 -220,840 -215,650Z"
  fill="url(#skin)"/>
 <path d="M-222,690C-235,560 -120,560 -60,555C40,552 120,600 160,640C190,660 215,670 222,700
  C250,560 200,430 0,430C-200,430 -250,560 -222,690Z" fill="url(#hair)"/>
 <path d="M-262,560C-280,250 280,250 262,560Q0,470 -262,560Z" fill="url(#hat)"/>
 <path d="M-275,590Q0,480 275,590L268,500Q0,395 -268,500Z" fill="#e8eef0"/>
 <g stroke="#c9d4d8" stroke-width="9" stroke-linecap="round">
  <path d="M-220,500V545M-150,474V520M-75,457V505M0,452V500M75,457V505M150,474V520M220,500V545"/></g>
 <circle cx="0" cy="318" r="66" fill="#e8eef0"/>
 <g fill="#fff"><ellipse cx="-88" cy="705" rx="42" ry="30"/><ellipse cx="88" cy="705" rx="42" ry="30"/></g>
 <g fill="#3f6a4d"><circle cx="-92" cy="706" r="25"/><circle cx="84" cy="706" r="25"/></g>
 <g fill="#14110f"><circle cx="-92" cy="706" r="12"/><circle cx="84" cy="706" r="12"/></g>
 <g fill="#fff"><circle cx="-83" cy="697" r="7"/><circle cx="93" cy="697" r="7"/></g>
 <g fill="none" stroke-linecap="round">
  <path d="M-138,700Q-90,655 -42,698M42,698Q90,655 138,700" stroke="#3a1c0f" stroke-width="9"/>
  <path d="M-148,640Q-95,605 -45,632M45,632Q95,605 148,640" stroke="#56290f" stroke-width="14"/>
  <path d="M-8,720Q-32,800 -22,812Q0,832 26,812" stroke="#c47c58" stroke-width="10"/></g>
 <ellipse cx="-135" cy="805" rx="72" ry="50" fill="url(#blush)"/>
 <ellipse cx="135" cy="805" rx="72" ry="50" fill="url(#blush)"/>
 <path d="M-78,865Q0,890 78,865Q55,935 0,937Q-55,935 -78,865Z" fill="#9c2f2a"/>
 <path d="M-66,868Q0,890 66,868L58,888Q0,906 -58,888Z" fill="#fff"/>
</g>"""


def image() -> Image:
    """Set a sharp subject before a park that is out of focus."""
    park = vips.draw_svg(_svg(_park())).flatten().gaussblur(_BLUR, precision="integer")
    return grain(park.composite2(vips.draw_svg(_svg(_SUBJECT)), "over").flatten(), strength=4, seed=3)


def _svg(body: str) -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}">{body}</svg>'


def _park() -> str:
    """Foliage above a path, with lights between the leaves."""
    chance = Random(19)  # noqa: S311  paints leaves, keeps no secret
    leaves = "".join(
        f'<circle cx="{chance.uniform(0, _WIDTH):.0f}" cy="{chance.uniform(-50, 1150):.0f}" '
        f'r="{chance.uniform(30, 130):.0f}" fill="{chance.choice(_LEAVES)}" fill-opacity=".6"/>'
        for _ in range(240)
    )
    lights = "".join(
        f'<circle cx="{chance.uniform(0, _WIDTH):.0f}" cy="{chance.uniform(40, 800):.0f}" '
        f'r="{chance.uniform(18, 56):.0f}" fill="#fff6cf" fill-opacity="{chance.uniform(0.15, 0.5):.2f}"/>'
        for _ in range(48)
    )
    return (
        '<linearGradient id="air" x2="0" y2="1"><stop stop-color="#b9cfa6"/><stop offset=".7" '
        'stop-color="#6b8a6b"/><stop offset="1" stop-color="#8d8468"/></linearGradient>'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="url(#air)"/>{leaves}{lights}'
        f'<path d="M0,1180Q1200,1100 {_WIDTH},1200V{_HEIGHT}H0Z" fill="#6d6a4d"/>'
        f'<path d="M700,1150Q900,1140 960,1150L1500,{_HEIGHT}H100Z" fill="#a99b7c"/>'
        '<path d="M330,300H390L410,1250H310Z M1180,340H1225L1240,1200H1165Z" fill="#4a3f33"/>'
    )
