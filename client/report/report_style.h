#ifndef ATTUNE_CLIENT_REPORT_REPORT_STYLE_H_
#define ATTUNE_CLIENT_REPORT_REPORT_STYLE_H_

namespace attune::client {

// The report's style sheet: light and dark by the reader's setting, printable.
inline constexpr char kReportStyle[] = R"css(
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1d2327; --soft: #5c6670; --rule: #dde2e6;
  --card: #f6f7f8; --s1: #1f6feb; --s2: #c2410c; --good: #1a7f4b;
  --bad: #b42318; --track: #e4e8ec;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181c; --ink: #e6eaed; --soft: #9aa5ae; --rule: #2f373e;
    --card: #1c2227; --s1: #6ea8ff; --s2: #f59e5b; --good: #4cc38a;
    --bad: #ff8a7a; --track: #2b333a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial,
    "DejaVu Sans", sans-serif;
}
main { max-width: 66rem; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 {
  font-size: 1.25rem; margin: 3rem 0 .5rem; padding-top: 1rem;
  border-top: 1px solid var(--rule);
}
h3 { font-size: 1rem; margin: 0; }
p { margin: .25rem 0 .75rem; max-width: 46rem; }
.sub, .note, figcaption { color: var(--soft); }
.note, figcaption { font-size: .85rem; margin: 0; }
code, .digest {
  font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono",
    monospace;
  font-size: .82rem; overflow-wrap: anywhere;
}
.tiles, .charts, .pictures, .pairs { display: grid; gap: 1rem; margin: 1rem 0; }
.tiles { grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); }
.tile { background: var(--card); border-radius: .6rem; padding: .9rem 1.1rem; }
.tile .name { color: var(--soft); font-size: .85rem; }
.tile .value { font-size: 1.7rem; font-weight: 600; line-height: 1.25;
  font-variant-numeric: tabular-nums; }
.tile .from { color: var(--soft); font-size: .9rem; }
.good { color: var(--good); } .bad { color: var(--bad); }
.charts { grid-template-columns: repeat(auto-fit, minmax(19rem, 1fr)); }
figure { margin: 0; }
.chart { background: var(--card); border-radius: .6rem; padding: 1rem 1.1rem;
  min-width: 0; }
svg { display: block; width: 100%; height: auto; margin: .4rem 0; }
.grid { stroke: var(--rule); stroke-width: 1; }
.tick { fill: var(--soft); font-size: 11px;
  font-variant-numeric: tabular-nums; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.band { opacity: .18; stroke: none; }
.s1.line { stroke: var(--s1); } .s1.band, .s1.end { fill: var(--s1); }
.s2.line { stroke: var(--s2); } .s2.band, .s2.end { fill: var(--s2); }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1rem; font-size: .85rem;
  margin: .3rem 0 0; }
.key::before { content: ""; display: inline-block; width: 1rem; height: .2rem;
  margin-right: .4rem; vertical-align: middle; border-radius: .1rem; }
.key.s1::before { background: var(--s1); }
.key.s2::before { background: var(--s2); }
details { margin-top: .5rem; font-size: .85rem; }
summary { cursor: pointer; color: var(--soft); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums;
  font-size: .9rem; }
.wide { width: 100%; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { text-align: left; padding: .35rem .9rem .35rem 0;
  border-bottom: 1px solid var(--rule); vertical-align: baseline; }
th { font-weight: 600; }
thead th { color: var(--soft); font-weight: 500; font-size: .85rem; }
.number { text-align: right; white-space: nowrap; }
.interval { color: var(--soft); font-size: .8rem; white-space: nowrap; }
.range { width: 11rem; }
.range svg { margin: 0; min-width: 9rem; }
.track { stroke: var(--track); stroke-width: 4; stroke-linecap: round; }
.move { stroke: var(--s1); stroke-width: 4; stroke-linecap: round; }
.was { fill: var(--paper); stroke: var(--soft); stroke-width: 2; }
.now { fill: var(--s1); }
.pictures { grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); }
.pairs { grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); }
.picture { background: var(--card); border-radius: .6rem; overflow: hidden; }
.picture img { display: block; width: 100%; aspect-ratio: 1;
  object-fit: cover; }
.twins { display: grid; grid-auto-flow: column; grid-auto-columns: 1fr; }
.picture dl { margin: 0; padding: .6rem .8rem .8rem; font-size: .82rem; }
.picture dt { color: var(--soft); font-size: .75rem; }
.picture dd { margin: 0 0 .3rem; overflow-wrap: anywhere; }
pre { background: var(--card); border-radius: .6rem; padding: 1rem;
  overflow-x: auto; font-size: .8rem; }
footer { margin-top: 3rem; color: var(--soft); font-size: .85rem; }
@media print {
  :root { --paper: #fff; --ink: #000; --soft: #444; --rule: #ccc;
    --card: #fff; --s1: #1f6feb; --s2: #c2410c; --good: #1a7f4b;
    --bad: #b42318; --track: #ddd; }
  body { font-size: 10.5pt; }
  main { max-width: none; padding: 0; }
  .chart, .picture, .tile { border: 1px solid var(--rule);
    break-inside: avoid; }
  .charts { grid-template-columns: repeat(2, 1fr); }
  .chart details { display: none; }
  h2 { break-after: avoid; }
  tr { break-inside: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
)css";

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_REPORT_REPORT_STYLE_H_
