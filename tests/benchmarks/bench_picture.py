# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""The picture of the measurements: a panel of bars for each workload, with a scale of its own."""

import math
from xml.sax.saxutils import escape

COLOURS = {'ours': '#2f5fa8', 'floor': '#d9a520', 'peer': '#9a9a9a', 'serial': '#6aa86a'}
LEGEND = {'ours': 'shmem-glib', 'floor': 'written by hand', 'peer': 'other libraries',
          'serial': 'one thread'}

WIDTH = 1120
COLUMN = WIDTH // 2
MARGIN = 16
LABEL = 262
BAR = 172
ROW = 18
HEAD = 24
FOOT = 30
TOP = 64
MOST_LABELS = 5  # of an axis, beside its first


def format_figure(figure):
    """Three digits, and no exponent: it is read by people."""
    if figure == 0:
        return '0'
    digits = 2 - math.floor(math.log10(abs(figure)))
    return f'{figure:,.{max(digits, 0)}f}'


def format_decade(decade):
    return f'{10 ** decade:,}' if decade >= 0 else f'{10.0 ** decade:.{-decade}f}'


class _Scale:
    """Logarithmic, in whole decades."""

    def __init__(self, figures):
        self.first = math.floor(math.log10(min(figures)) - 0.1)
        self.last = max(math.ceil(math.log10(max(figures))), self.first + 1)

    def place(self, figure):
        share = (math.log10(figure) - self.first) / (self.last - self.first)
        return LABEL + BAR * min(max(share, 0), 1)


def _text(x, y, text, **attributes):
    more = ''.join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f'<text x="{x:.1f}" y="{y:.1f}"{more}>{escape(text)}</text>'


def _line(x1, y1, x2, y2, colour, more=''):
    return f'<path d="M{x1:.1f} {y1:.1f} L{x2:.1f} {y2:.1f}" stroke="{colour}"{more}/>'


class Panel:
    """Figures of one workload; `limits` has what was promised of some contestants."""

    def __init__(self, title, unit, is_rate, rows, limits):
        self._title = title
        self._unit = unit
        self._is_rate = is_rate
        self._rows = rows
        self._limits = limits
        self.height = HEAD + ROW * len(rows) + FOOT

    def draw(self, left, top):
        figures = [row[name] for row in self._rows for name in ('low', 'median', 'high')]
        figures += self._limits.values()
        scale = _Scale([figure for figure in figures if figure > 0] or [1])
        bottom = HEAD + ROW * len(self._rows)
        parts = [f'<g transform="translate({left} {top})">',
                 self._draw_title()]
        step = (scale.last - scale.first) // MOST_LABELS + 1
        for decade in range(scale.first, scale.last + 1):
            x = scale.place(10.0 ** decade)
            parts.append(_line(x, HEAD - 3, x, bottom + 3, '#dddddd'))
            if (decade - scale.first) % step == 0:
                parts.append(_text(x, bottom + 15, format_decade(decade), font_size=10,
                                   fill='#666666', text_anchor='middle'))
        for i, row in enumerate(self._rows):
            parts += self._draw_row(row, HEAD + ROW * i, scale)
        parts.append('</g>')
        return parts

    def _draw_title(self):
        unit = self._unit + (', more is better' if self._is_rate else '')
        return (f'<text x="0" y="14"><tspan font-weight="bold">{escape(self._title)}</tspan>'
                f'<tspan dx="10" font-size="11" fill="#666666">{escape(unit)}</tspan></text>')

    def _draw_row(self, row, y, scale):
        middle = y + ROW / 2
        name = row['contestant']
        bold = {'font_weight': 'bold'} if row['role'] == 'ours' else {}
        parts = [_text(LABEL - 6, middle + 4, name, font_size=11, text_anchor='end', **bold)]
        end = LABEL
        if row['median'] > 0:
            end = scale.place(row['median'])
            parts.append(f'<rect x="{LABEL}" y="{y + 3}" width="{end - LABEL:.1f}" '
                         f'height="{ROW - 6}" fill="{COLOURS[row["role"]]}"/>')
        if 0 < row['low'] < row['high']:
            low, high = scale.place(row['low']), scale.place(row['high'])
            parts.append(_line(low, middle, high, middle, '#222222'))
            end = max(end, high)
        if name in self._limits:
            x = scale.place(self._limits[name])
            parts.append(_line(x, y + 1, x, y + ROW - 1, '#c02020', ' stroke-width="2"'))
            end = max(end, x)
        parts.append(_text(end + 5, middle + 4, format_figure(row['median']), font_size=11, **bold))
        return parts


def draw(panels, subtitle):
    """The text of the picture."""
    heights = [TOP, TOP]
    places = []
    for panel in panels:
        column = heights.index(min(heights))
        places.append((panel, MARGIN + column * COLUMN, heights[column]))
        heights[column] += panel.height
    height = max(heights) + MARGIN

    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<!-- SPDX-FileCopyrightText: The shmem-glib authors -->',
        '<!-- SPDX-License-Identifier: LGPL-2.1-or-later -->',
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13" role="img">',
        '<title>Benchmarks of shmem-glib</title>',
        '<desc>Bars on logarithmic scales: medians of the library, of other libraries, and of '
        'programs written by hand for one workload.</desc>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(MARGIN, 22, subtitle, fill='#444444')]
    x = MARGIN
    for role, meaning in LEGEND.items():
        parts.append(f'<rect x="{x}" y="34" width="14" height="12" fill="{COLOURS[role]}"/>')
        parts.append(_text(x + 19, 45, meaning, font_size=12))
        x += 150
    parts.append(_line(x + 7, 32, x + 7, 48, '#c02020', ' stroke-width="2"'))
    parts.append(_text(x + 19, 45, 'what is promised', font_size=12))
    parts.append(_line(x + 150, 40, x + 174, 40, '#222222'))
    parts.append(_text(x + 180, 45, 'the middle half of the runs', font_size=12))
    for panel, left, top in places:
        parts += panel.draw(left, top)
    parts.append('</svg>')
    return '\n'.join(parts) + '\n'
