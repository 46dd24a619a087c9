# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Runs the benchmarks, and tells what they measured, as a table, as JSON and as a picture.

The files are bench.json, bench.svg, and bench-table.xml, the table of the manual. It ends with an
error if a program failed, or if a promise is of what no program measures; whether promises are kept
is for those to judge who know what else the machine was doing.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import time
from xml.sax.saxutils import escape

import bench_picture
from bench_picture import format_figure
from bench_promises import PROMISES

SIDE_BY_SIDE = 1.8  # what two busy processes get done, at least, of twice the work of one


# The machine


def keep_busy(n_steps):
    state = 1
    for _ in range(n_steps):
        state = (state * 1103515245 + 12345) & 0x7fffffff
    return state


def time_busy(n_processes, n_steps):
    start = time.perf_counter()
    children = []
    for _ in range(n_processes):
        pid = os.fork()
        if pid == 0:
            keep_busy(n_steps)
            os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)
    return time.perf_counter() - start


def get_speed_up(n_steps):
    """How much two busy processes get done together, where one alone gets 1 done."""
    alone, together = (min(time_busy(n, n_steps) for _ in range(3)) for n in (1, 2))
    return 2 * alone / together


def get_processor():
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as file:
            match = re.search(r'^model name\s*:\s*(.*)$', file.read(), re.MULTILINE)
    except OSError:
        match = None
    return match.group(1) if match else platform.machine()


def describe_machine():
    return {'processor': get_processor(), 'processors': os.cpu_count(),
            'kernel': '.'.join(platform.release().split('.')[:2]),
            'python': platform.python_version(), 'date': datetime.date.today().isoformat()}


def warn(text):
    print(f'report.py: {text}', file=sys.stderr, flush=True)


# The measurements


def run_program(program, is_quick):
    """Its measurements, and whether it ended well."""
    command = [str(program)]
    if program.suffix == '.py':
        command.insert(0, sys.executable)
    elif program.suffix == '.js':
        command[:0] = ['gjs', '-m']
    if is_quick:
        command.append('--quick')
    ended = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if ended.returncode != 0:
        warn(f'{program.name} failed: status {ended.returncode}')
    measurements = []
    for line in ended.stdout.decode().splitlines():
        try:
            measurements.append(json.loads(line))
        except ValueError:
            warn(f'{program.name} printed a line that is no JSON: {line}')
            return measurements, False
    return measurements, ended.returncode == 0


def with_micro(text):
    return re.sub(r'\bus\b', 'µs', text)


class Results:
    """Measurements by workload, in the order in which they came."""

    def __init__(self, measurements):
        self.workloads = {}
        for measurement in measurements:
            self.workloads.setdefault(measurement['workload'], []).append(measurement)

    def find(self, workload, name):
        """The measurements of a contestant, or of all with a role; those left out as well."""
        return [row for row in self.workloads.get(workload, [])
                if name in (row['contestant'], '*' + row['role'])]

    def get_measured(self, workload):
        return [row for row in self.workloads[workload] if 'left_out' not in row]


class Verdict:
    """What became of a promise."""

    def __init__(self, promise, results):
        self.promise = promise
        self.problem = None
        self.value = None  # of ours: the ratio, or the figure
        self.limit_figure = None  # what ours may be at most, or must be at least, in the unit
        self.rival = None
        self.unit = ''
        self.is_kept = None
        ours = results.find(promise.workload, promise.ours)
        if not ours:
            self.problem = f'{promise.workload} has no {promise.ours}'
            return
        self.title = with_micro(ours[0]['title'])
        rivals = self._find_rivals(results)
        self._judge(ours[0], [row for row in rivals if 'left_out' not in row])

    def _find_rivals(self, results):
        found = []
        for name in self.promise.against:
            is_elsewhere = isinstance(name, tuple)
            workload, contestant = name if is_elsewhere else (self.promise.workload, name)
            rows = results.find(workload, contestant)
            # another workload may be that of a program that was not run
            if not rows and workload in results.workloads:
                self.problem = f'{workload} has no {contestant}'
            found += rows
        return found

    def _judge(self, ours, rivals):
        limit = self.promise.most if self.promise.least is None else self.promise.least
        if 'left_out' in ours or (self.promise.against and not rivals):
            return
        base = 1
        if rivals:
            best = max if ours['better'] == 'more' else min
            rival = best(rivals, key=lambda row: row['median'])
            base = rival['median']
            self.rival = rival['contestant']
            if rival['workload'] != ours['workload']:
                self.rival += f' ({with_micro(rival["title"])})'
        else:
            self.unit = ' ' + with_micro(ours['unit'])
        self.limit_figure = limit * base
        if base > 0:
            self.value = ours['median'] / base
            is_most = self.promise.least is None
            self.is_kept = self.value <= limit if is_most else self.value >= limit

    @property
    def word(self):
        return {None: 'not measured', True: 'kept', False: 'not kept'}[self.is_kept]

    @property
    def demand(self):
        if self.promise.least is None:
            return f'≤ {self.promise.most:g}{self.unit}'
        return f'≥ {self.promise.least:g}{self.unit}'

    @property
    def rival_name(self):
        return f'× {self.rival}' if self.rival else ''

    @property
    def value_text(self):
        return '–' if self.value is None else format_figure(self.value) + self.unit


def judge(results):
    return [Verdict(promise, results) for promise in PROMISES
            if promise.workload in results.workloads]


def get_ratio(row, rows):
    """How long it takes, where the first of ours takes 1."""
    first = next((other for other in rows if other['role'] == 'ours'), None)
    if first is None or first['median'] == 0 or row['median'] == 0:
        return None
    if row['better'] == 'more':
        return first['median'] / row['median']
    return row['median'] / first['median']


def format_row(row, rows):
    """Contestant, median, spread and ratio."""
    if 'left_out' in row:
        return row['contestant'], f'left out: {row["left_out"]}', '', ''
    ratio = get_ratio(row, rows)
    spread = ''
    if row['rounds'] > 1:
        spread = f'{format_figure(row["low"])} – {format_figure(row["high"])}'
    return (row['contestant'], format_figure(row['median']), spread,
            f'{ratio:.2f}' if ratio is not None else '')


# The table for people


def print_table(results, verdicts):
    for workload, rows in results.workloads.items():
        unit = next((with_micro(row['unit']) for row in rows if 'unit' in row), '')
        better = ', more is better' if any(row.get('better') == 'more' for row in rows) else ''
        print(f'\n{workload}: {with_micro(rows[0]["title"])} [{unit}{better}]')
        measured = results.get_measured(workload)
        for row in rows:
            name, median, spread, ratio = format_row(row, measured)
            if 'left_out' in row:
                print(f'  {name:46} {median}')
            else:
                print(f'  {name:46} {median:>10} {spread:>21} {ratio:>8}')
    print('\nPromises')
    for verdict in verdicts:
        print(f'  {verdict.word:12} {verdict.value_text:>14}  {verdict.demand:14} '
              f'{verdict.promise.workload}: {verdict.promise.ours} {verdict.rival_name}'.rstrip())
    n_kept = sum(verdict.is_kept is True for verdict in verdicts)
    n_measured = sum(verdict.is_kept is not None for verdict in verdicts)
    print(f'\n{n_kept} of {n_measured} promises kept, {len(verdicts) - n_measured} not measured')


# The table of the manual


def to_rows(cells):
    return '<row>' + ''.join(f'<entry>{escape(cell)}</entry>' for cell in cells) + '</row>'


def find_doubts(record):
    """Why the figures mean little, or an empty text."""
    speed_ups = record['machine']['speed_up'], record['machine']['speed_up_afterwards']
    if record['quick']:
        return 'These were tiny workloads: the figures mean nothing.'
    if min(speed_ups) < SIDE_BY_SIDE:
        return (f'Two busy processes got {speed_ups[0]:.2f} times as much done as one before, and '
                f'{speed_ups[1]:.2f} afterwards: others were using this machine, or it has one '
                'processor, and the figures mean little.')
    return ''


def to_docbook(results, verdicts, record):
    machine = record['machine']
    doubts = find_doubts(record)
    promises = [to_rows([f'{verdict.title}: {verdict.promise.ours}',
                         f'{verdict.demand} {verdict.rival_name}'.strip(), verdict.value_text,
                         verdict.word])
                for verdict in verdicts]
    figures = []
    for workload, rows in results.workloads.items():
        unit = next((with_micro(row['unit']) for row in rows if 'unit' in row), '')
        title = escape(f'{with_micro(rows[0]["title"])}, {unit}')
        figures.append('<row><entry namest="name" nameend="ratio"><emphasis role="bold">'
                       f'{title}</emphasis></entry></row>')
        measured = results.get_measured(workload)
        figures += [to_rows(format_row(row, measured)) for row in rows]
    return f'''<?xml version="1.0" encoding="UTF-8"?>
<!-- SPDX-FileCopyrightText: The shmem-glib authors -->
<!-- SPDX-License-Identifier: LGPL-2.1-or-later -->
<!-- Written by tests/benchmarks/report.py. -->
<!DOCTYPE section PUBLIC "-//OASIS//DTD DocBook XML V4.5//EN"
                         "http://www.oasis-open.org/docbook/xml/4.5/docbookx.dtd">
<section id="performance-figures">
  <title>The figures</title>
  <para>
    Measured on {escape(machine['date'])}, on {machine['processors']} processors
    ({escape(machine['processor'])}), Linux {escape(machine['kernel'])}. Two busy processes got
    {machine['speed_up']:.2f} times as much done as
    one.{escape(doubts and ' ' + doubts)}
  </para>
  <table id="performance-promises">
    <title>What is promised, and what was measured</title>
    <tgroup cols="4">
      <thead><row><entry>Workload, and what of the library</entry><entry>Promise</entry>
        <entry>Measured</entry><entry>Kept?</entry></row></thead>
      <tbody>
{chr(10).join(promises)}
      </tbody>
    </tgroup>
  </table>
  <table id="performance-all">
    <title>All figures</title>
    <tgroup cols="4">
      <colspec colname="name"/><colspec colname="median"/><colspec colname="spread"/><colspec
        colname="ratio"/>
      <thead><row><entry>Contestant</entry><entry>Median</entry><entry>Quartiles</entry>
        <entry>Time, of ours</entry></row></thead>
      <tbody>
{chr(10).join(figures)}
      </tbody>
    </tgroup>
  </table>
</section>
'''


# The picture


def to_picture(results, verdicts, machine):
    limits = {}
    for verdict in verdicts:
        if verdict.limit_figure:
            of_workload = limits.setdefault(verdict.promise.workload, {})
            name = verdict.promise.ours
            # of several promises the strictest
            strictest = min if verdict.promise.least is None else max
            of_workload[name] = strictest(of_workload.get(name, verdict.limit_figure),
                                          verdict.limit_figure)
    panels = []
    for workload in results.workloads:
        rows = results.get_measured(workload)
        if workload in limits and len(rows) > 1:
            panels.append(bench_picture.Panel(
                with_micro(rows[0]['title']), with_micro(rows[0]['unit']),
                rows[0]['better'] == 'more', rows, limits[workload]))
    return bench_picture.draw(
        panels, f'{machine["processors"]} processors ({machine["processor"]}), {machine["date"]}; '
                'two workers; medians, logarithmic scales; less is better unless said')


def measure_all(programs, is_quick):
    """What is in bench.json, and whether all programs ended well."""
    n_steps = 10_000 if is_quick else 5_000_000
    machine = describe_machine()
    machine['speed_up'] = get_speed_up(n_steps)
    print(f'two busy processes get {machine["speed_up"]:.2f} times as much done as one', flush=True)
    measurements = []
    is_well = True
    for program in programs:
        warn(f'running {program.name}')
        found, ended_well = run_program(program, is_quick)
        measurements += found
        is_well = is_well and ended_well
    machine['speed_up_afterwards'] = get_speed_up(n_steps)
    return {'machine': machine, 'quick': is_quick, 'measurements': measurements}, is_well


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--quick', action='store_true',
                        help='run tiny workloads once, to see whether the programs work')
    parser.add_argument('--output', type=pathlib.Path, default=pathlib.Path('.'),
                        help='the folder for the files')
    parser.add_argument('--from', dest='source', type=pathlib.Path, metavar='JSON',
                        help='run nothing, and take what was measured from this file')
    parser.add_argument('programs', nargs='*', type=pathlib.Path)
    options = parser.parse_args()

    if options.source is not None:
        record, is_well = json.loads(options.source.read_text(encoding='utf-8')), True
    else:
        record, is_well = measure_all(options.programs, options.quick)
    machine = record['machine']
    results = Results(record['measurements'])
    verdicts = judge(results)
    problems = [verdict.problem for verdict in verdicts if verdict.problem is not None]
    for problem in problems:
        warn(f'a promise is of what is not measured: {problem}')
    verdicts = [verdict for verdict in verdicts if verdict.problem is None]

    options.output.mkdir(parents=True, exist_ok=True)
    files = {
        'bench.json': json.dumps(record, indent=1) + '\n',
        'bench.svg': to_picture(results, verdicts, machine),
        'bench-table.xml': to_docbook(results, verdicts, record),
    }
    for name, text in files.items():
        if options.source is None or name != 'bench.json':
            (options.output / name).write_text(text, encoding='utf-8')

    print_table(results, verdicts)
    if find_doubts(record):
        print(find_doubts(record))
    return 0 if is_well and not problems else 1


if __name__ == '__main__':
    sys.exit(main())
