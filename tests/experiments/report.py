"""results.md, the tables of the experiments, and their plots as SVG files."""

import html

COLUMNS = (
    ("clean", "clean"), ("clean_unseen", "clean, held out"),
    ("attacked_seen", "attacked, seen"),
    ("attacked_unseen", "attacked, held out"),
    ("attacked_font", "attacked, unseen font"),
    ("fooled_seen", "fooled, seen"), ("fooled_unseen", "fooled, held out"),
    ("reads", "reads"), ("blank_plate", "blank plate"),
    ("other_word", "other word"),
)
SHORT_COLUMNS = tuple(c for c in COLUMNS if c[0] in (
    "clean", "clean_unseen", "attacked_seen", "attacked_unseen", "fooled_seen",
    "fooled_unseen", "reads"))
COLORS = ("#1f6feb", "#c2410c", "#1a7f4b", "#8250df", "#9a6700")


def points(mean):
  """A share as "51.2 ±3.4", in per cent."""
  if mean["low"] is None:
    return f"{100 * mean['mean']:.1f}"
  return f"{100 * mean['mean']:.1f} ±{50 * (mean['high'] - mean['low']):.1f}"


def number(mean):
  if mean["low"] is None:
    return f"{mean['mean']:.2f}"
  return f"{mean['mean']:.2f} ±{(mean['high'] - mean['low']) / 2:.2f}"


def table(header, rows):
  lines = ["| " + " | ".join(header) + " |",
           "|" + "---|" * len(header)]
  lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
  return "\n".join(lines) + "\n"


def figures_table(values, runs, columns, with_base=True):
  header = ["%"] + [title for _, title in columns]
  rows = []
  if with_base:
    rows.append(["base"] + [points(values["base"][c]) for c, _ in columns])
  rows += [[name] + [points(run["model"][c]) for c, _ in columns]
           for name, run in runs]
  return table(header, rows)


# ---- plots


def plot(path, title, x_title, y_title, series):
  """Lines through points: series are (name, [(x, y, label)])."""
  width, height, left, right, top, bottom = 640, 400, 60, 20, 40, 50
  xs = [x for _, line in series for x, _, _ in line]
  ys = [y for _, line in series for _, y, _ in line]
  x_low, x_high, y_low, y_high = min(xs), max(xs), min(ys), max(ys)
  x_pad = (x_high - x_low or 1) * 0.06
  y_pad = (y_high - y_low or 1) * 0.08
  x_low, x_high, y_low, y_high = (x_low - x_pad, x_high + x_pad, y_low - y_pad,
                                  y_high + y_pad)

  def at(x, y):
    return (left + (x - x_low) / (x_high - x_low) * (width - left - right),
            height - bottom - (y - y_low) / (y_high - y_low) *
            (height - top - bottom))

  def text(x, y, words, **attributes):
    extra = "".join(f' {key.replace("_", "-")}="{value}"'
                    for key, value in attributes.items())
    return f'<text x="{x:.1f}" y="{y:.1f}"{extra}>{html.escape(words)}</text>'

  parts = [
      f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
      'font-family="DejaVu Sans, Arial, sans-serif" font-size="12" '
      'fill="#1d2327">',
      f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
      text(left, 22, title, font_size=14, font_weight="bold"),
      text((left + width - right) / 2, height - 12, x_title,
           text_anchor="middle"),
      text(16, (top + height - bottom) / 2, y_title, text_anchor="middle",
           transform=f"rotate(-90 16 {(top + height - bottom) / 2:.1f})"),
  ]
  for i in range(5):
    x = x_low + (i + 0.5) / 5 * (x_high - x_low)
    y = y_low + (i + 0.5) / 5 * (y_high - y_low)
    px, py = at(x, y)
    parts += [
        f'<line x1="{px:.1f}" x2="{px:.1f}" y1="{top}" '
        f'y2="{height - bottom}" stroke="#dde2e6"/>',
        f'<line x1="{left}" x2="{width - right}" y1="{py:.1f}" '
        f'y2="{py:.1f}" stroke="#dde2e6"/>',
        text(px, height - bottom + 16, f"{x:.3g}", text_anchor="middle",
             fill="#5c6670"),
        text(left - 6, py + 4, f"{y:.3g}", text_anchor="end", fill="#5c6670"),
    ]
  for number_of, (name, line) in enumerate(series):
    color = COLORS[number_of % len(COLORS)]
    places = [at(x, y) for x, y, _ in line]
    if len(places) > 1:
      path_points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
      parts.append(f'<polyline points="{path_points}" fill="none" '
                   f'stroke="{color}" stroke-width="2"/>')
    for (px, py), (_, _, label) in zip(places, line):
      parts.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="4" '
                   f'fill="{color}"/>')
      parts.append(text(px + 6, py - 6, label, font_size=10, fill=color))
    parts.append(text(width - right, top + 14 + 16 * number_of, name,
                      text_anchor="end", fill=color, font_weight="bold"))
  path.write_text("\n".join(parts) + "\n</svg>\n")


def trade_off(values, names, x, y, label):
  """Series of (attacked accuracy, what is kept) in per cent, by x."""
  series = []
  for name in names:
    line = [(100 * run["model"][x]["mean"], 100 * run["model"][y]["mean"],
             label(run["recipe"])) for run in values["series"][name]]
    series.append((name, sorted(line)))
  base = values["base"]
  return series + [("base", [(100 * base[x]["mean"], 100 * base[y]["mean"],
                              "")])]


# ---- the page


def write(values, folder):
  parts = []
  if "series" in values:
    parts += alignment(values, folder)
  if "knob" in values:
    parts += knob(values, folder)
  if values["claims"]:
    parts += claims(values)
  (folder / "results.md").write_text("\n".join(parts))


def alignment(values, folder):
  series = values["series"]
  sizes = values["sizes"]
  parts = []
  say = parts.append
  seeds = ", ".join(map(str, values["seeds"]))
  tuning = ", ".join(map(str, values["tuning_seeds"]))
  say(f"Means over the pre-training seeds {seeds} ± half of their 95 % "
      f"interval (Student's t, {len(values['seeds'])} seeds); every seed has "
      f"its own first weights, pictures and tests, {sizes['tests']} pictures "
      f"in each part of a test. Settings were chosen on the seeds {tuning}.\n")

  say("### The methods\n")
  names = ("ce", "dpo", "ipo", "kto")
  by_name = {run["recipe"]["objective"]: run for run in series["methods"]}
  say(figures_table(values, [(name, by_name[name]) for name in names],
                    COLUMNS))

  say("### How settings were chosen\n")
  rows = []
  for method, tuned in values["tuning"].items():
    for tried in tuned["tried"]:
      chosen = tried["label"] == _label(tuned["chosen"])
      rows.append([method, tried["label"],
                   f"{100 * tried['resistance']:.1f}",
                   f"{100 * tried['clean_change']:+.1f}",
                   f"{100 * tried['reads_change']:+.1f}",
                   "chosen" if chosen else ""])
  say(table(["method", "setting", "attacked accuracy %", "clean, change",
             "reads, change", ""], rows))

  say("### Resisting and forgetting\n")
  for name in ("ce by learning rate", "ce by λ", "dpo by learning rate"):
    say(f"{name}:\n")
    say(figures_table(values, [(run["label"], run) for run in series[name]],
                      SHORT_COLUMNS, with_base=False))
  rate = lambda recipe: f"{recipe['learning_rate']:g}"  # noqa: E731
  curves = ("ce by learning rate", "ce by λ", "dpo by learning rate")

  def point_label(recipe):
    return (f"λ {recipe['kl_weight']:g}"
            if recipe["objective"] == "ce" and recipe["kl_weight"] else
            rate(recipe))

  for figure, title, file in (
      ("clean_unseen", "clean accuracy of held-out classes, %", "held_out"),
      ("reads", "words alone that are read, %", "reading")):
    plot(folder / f"{file}.svg", "Resisting against " + title.split(",")[0],
         "attacked accuracy, seen classes and words, %", title,
         trade_off(values, curves, "attacked_seen", figure, point_label))
    say(f"![{title} against attacked accuracy]({file}.svg)\n")

  for name, file, key in (("dpo by λ", "weights", "kl_weight"),
                          ("dpo by β", "betas", "beta")):
    say(f"### {name}\n")
    say(figures_table(values, [(run["label"], run) for run in series[name]],
                      SHORT_COLUMNS, with_base=False))
    plot(folder / f"{file}.svg", name, "attacked accuracy, seen, %",
         "clean accuracy of held-out classes, %",
         trade_off(values, (name,), "attacked_seen", "clean_unseen",
                   lambda recipe: f"{recipe[key]:g}"))
    say(f"![{name}]({file}.svg)\n")

  say("### What the clean stream protects\n")
  titles = ("clean pictures of all classes, all candidates",
            "of seen classes alone, all candidates",
            "of seen classes alone, candidates of seen classes alone")
  say(figures_table(values, zip(titles, series["clean stream"]),
                    SHORT_COLUMNS))
  return parts


def _label(recipe):
  parts = [f"lr {recipe['learning_rate']:g}"]
  if recipe["beta"] is not None:
    parts.append(f"β {recipe['beta']:g}")
  return ", ".join(parts + [f"λ {recipe['kl_weight']:g}"])


def knob(values, folder):
  rows = [[f"{p['t']:g}", number(p["margin"]), points(p["told_apart"]),
           points(p["class_top1"])] for p in values["knob"]]
  plot(folder / "knob.svg", "A knob for red and blue", "t", "%",
       [(title, [(p["t"], 100 * p[name]["mean"], "")
                 for p in values["knob"]])
        for name, title in (("told_apart", "red and blue told apart"),
                            ("class_top1", "shape right, all colours"))])
  return ["### The knob\n",
          table(["t", "margin, logits", "red and blue told apart, %",
                 "shape right, all colours, %"], rows),
          "![the knob](knob.svg)\n"]


def claims(values):
  rows = []
  for claim in values["claims"]:
    bound = (f"≥ {claim['at_least']:g}" if "at_least" in claim else
             f"≤ {claim['at_most']:g}")
    interval = ("" if claim["low"] is None else
                f"{claim['low']:.3f} to {claim['high']:.3f}")
    rows.append([claim["claim"], f"{claim['mean']:.3f}", interval, bound,
                 claim["verdict"]])
  return ["### The claims\n",
          "A claim holds when its whole interval does, fails when its interval "
          "excludes it, and is open between.\n",
          table(["claim", "mean", "95 %", "bound", ""], rows)]
