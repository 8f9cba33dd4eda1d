"""A balloon with an arrow and the word UP, stored lying on its side as cameras do.

The EXIF tag says how to set it upright; who forgets the tag shows it lying.
"""

from __future__ import annotations

from imgproxy.demo.noise import grain
from imgproxy.engine import vips
from imgproxy.image.filters.base import Image

_TURN_RIGHT = 6  # EXIF: set upright by a quarter turn clockwise

_SCENE = """<svg xmlns="http://www.w3.org/2000/svg" width="1200" height="1600">
<linearGradient id="sky" x2="0" y2="1"><stop stop-color="#2a78c8"/><stop offset=".7" stop-color="#9fd3f2"/>
 <stop offset="1" stop-color="#e8f6fb"/></linearGradient>
<linearGradient id="near" x2="0" y2="1"><stop stop-color="#4fa35a"/><stop offset="1" stop-color="#256b3a"/>
</linearGradient>
<radialGradient id="light" cx=".32" cy=".28" r=".85"><stop stop-color="#fff" stop-opacity=".5"/>
 <stop offset=".45" stop-color="#fff" stop-opacity="0"/>
 <stop offset="1" stop-color="#20053a" stop-opacity=".5"/>
</radialGradient>
<rect width="1200" height="1600" fill="url(#sky)"/>
<g fill="#fff"><g id="cloud" opacity=".85"><ellipse cx="190" cy="350" rx="150" ry="42"/>
 <circle cx="150" cy="320" r="62"/><circle cx="232" cy="306" r="78"/></g>
 <use href="#cloud" x="800" y="520"/><use href="#cloud" x="-60" y="790" opacity=".7"/>
 <use href="#cloud" x="760" y="-190" opacity=".6"/></g>
<path d="M0,1420Q300,1300 640,1400T1200,1350V1600H0Z" fill="#7fbf86"/>
<path d="M0,1500Q360,1400 760,1490T1200,1470V1600H0Z" fill="url(#near)"/>
<g stroke="#5a3a22" stroke-width="5"><path d="M452,1010L545,1180M748,1010L655,1180M600,1060V1180"/></g>
<defs><path id="balloon" d="M600,180C830,180 1000,350 1000,570C1000,800 790,930 700,1060H500
 C410,930 200,800 200,570C200,350 370,180 600,180Z"/></defs>
<use href="#balloon" fill="#e8443a"/>
<path d="M600,180C700,180 790,350 790,570C790,800 690,930 660,1060H540
 C510,930 410,800 410,570C410,350 500,180 600,180Z" fill="#ffb52e"/>
<use href="#balloon" fill="url(#light)"/>
<path d="M500,1060H700L690,1090H510Z" fill="#8c2a25"/>
<path d="M530,1180H670L655,1290Q600,1304 545,1290Z" fill="#9a6537"/>
<path d="M522,1168H678V1196H522Z" fill="#6d4424"/>
<path d="M600,270L760,450H660V600H540V450H440Z" fill="#fff"/>
<g fill="none" stroke="#fff" stroke-width="46" stroke-linecap="round" stroke-linejoin="round">
 <path d="M468,670V780A56,56 0 0 0 580,780V670"/><path d="M650,838V670H695A46,46 0 0 1 695,764H650"/></g>
</svg>"""


def image() -> Image:
    """Paint it upright, then lay it down and say so."""
    lying = grain(vips.draw_svg(_SCENE).flatten(), strength=2, seed=5).rot270().copy()
    lying.set_type(vips.INT, "orientation", _TURN_RIGHT)
    return lying
