# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The style and the script of the HTML report. Their hashes are in its Content-Security-Policy."""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --text: #1b1f24; --quiet: #57606a; --line: #d5dae0; --soft: #eef0f3;
  --link: #0a58b5; --ok: #1a6e34; --warn: #8a5200; --fail: #b3211c; --bar: #4d7fb8;
  --ok-soft: #e3f4e8; --warn-soft: #fdf1d8; --fail-soft: #fde6e4;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f1318; --card: #171c23; --text: #e8ebef; --quiet: #a5afba; --line: #333c47; --soft: #212832;
    --link: #85b9f7; --ok: #5fd07d; --warn: #ecb653; --fail: #ff8f86; --bar: #6ea3de;
    --ok-soft: #15301d; --warn-soft: #352809; --fail-soft: #3b1917;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-padding-top: 1rem; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
}
main, header, footer { max-width: 76rem; margin: 0 auto; padding: 0 1rem; }
header { padding-top: 1.5rem; }
h1 { font-size: 1rem; font-weight: 600; color: var(--quiet); margin: 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 .6rem; }
h3 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
p { margin: .3rem 0; }
a { color: var(--link); }
.answer { display: flex; gap: .7rem; align-items: center; margin: .2rem 0 .6rem; font-size: 1.75rem; line-height: 1.2;
  font-weight: 700; letter-spacing: -.01em; }
.answer .icon { width: 2rem; height: 2rem; }
.quiet { color: var(--quiet); }
.small { font-size: .85em; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .9rem 1rem;
  margin: .6rem 0; }
.card.fail { border-left: 4px solid var(--fail); }
.card.warn { border-left: 4px solid var(--warn); }
.icon { width: 1em; height: 1em; flex: none; vertical-align: -.12em; }
.ok { color: var(--ok); } .warn { color: var(--warn); } .fail { color: var(--fail); }
.card.ok, .card.warn, .card.fail { color: var(--text); }
.counts { display: flex; flex-wrap: wrap; gap: .6rem; list-style: none; margin: .8rem 0; padding: 0; }
.counts li { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .5rem .9rem;
  min-width: 7rem; }
.counts b { display: block; font-size: 1.5rem; line-height: 1.2; color: var(--text);
  font-variant-numeric: tabular-nums; }
.share { display: block; width: 100%; height: .6rem; border-radius: .3rem; }
.names { margin: .4rem 0 0; padding: 0; list-style: none; display: flex; flex-wrap: wrap; gap: .2rem .8rem; }
.text { margin-top: .5rem; }
.text p { margin: 0; }
.text .names { margin-top: 0; }
.names li { overflow-wrap: anywhere; }
.names .quiet { font-size: .85em; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; }
th, td { text-align: left; vertical-align: top; padding: .45rem .6rem; border-bottom: 1px solid var(--line); }
thead th { font-size: .85em; font-weight: 600; color: var(--quiet); border-bottom-width: 2px; white-space: nowrap; }
tbody th { font-weight: 600; }
th, td { overflow-wrap: break-word; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; overflow-wrap: normal; }
.status { white-space: nowrap; font-weight: 600; }
.scroll { overflow-x: auto; }
.list { background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
.list tbody tr:last-child > * { border-bottom: 0; }
.under { display: block; font-weight: 400; }
fieldset { border: 0; margin: 0 0 .6rem; padding: 0; min-width: 0; display: flex; flex-wrap: wrap; gap: .6rem;
  align-items: end; }
label { display: grid; gap: .15rem; font-size: .8rem; color: var(--quiet); min-width: 0; }
input, select, button { font: inherit; font-size: .95rem; color: var(--text); background: var(--card);
  border: 1px solid #7d8792; border-radius: 6px; padding: .35rem .5rem; min-height: 2.3rem; max-width: 100%; }
button { cursor: pointer; }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
details.card { padding: 0; }
details.card > summary { padding: .8rem 1rem; cursor: pointer; display: flex; flex-wrap: wrap; gap: .1rem .8rem;
  align-items: baseline; }
details.card > summary::before { content: ""; width: .45em; height: .45em; border: solid var(--quiet);
  border-width: 0 2px 2px 0; transform: rotate(-45deg); align-self: center; flex: none; }
details.card[open] > summary::before { transform: rotate(45deg); }
details.card > summary::-webkit-details-marker { display: none; }
.body { padding: 0 1rem 1rem; }
.body > :first-child { margin-top: 0; }
.advice { background: var(--fail-soft); border-radius: 6px; padding: .6rem .8rem; margin: .5rem 0;
  overflow-wrap: anywhere; }
.advice.warn { background: var(--warn-soft); color: var(--text); }
.advice.fail { color: var(--text); }
h4 { font-size: .95rem; margin: 1rem 0 .3rem; overflow-wrap: anywhere; }
.phases td, .phases th { padding: .2rem .5rem; border: 0; }
.phases th { font-weight: 400; white-space: nowrap; }
.phases .timeline { width: 75%; }
.timeline svg { display: block; width: 100%; height: 1.1rem; background: var(--soft); border-radius: 2px; }
.phase { fill: var(--bar); }
.phase.bad { fill: var(--fail); }
.fill-ok { fill: var(--ok); } .fill-warn { fill: var(--warn); } .fill-fail { fill: var(--fail); }
.cut { stroke: var(--card); }
.stroke { fill: none; stroke: var(--fail); stroke-width: 2; }
.phases .said { padding: 0 .5rem .4rem 2rem; overflow-wrap: anywhere;
  font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .85em; }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .15rem .9rem; margin: .4rem 0; }
dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; }
.chart .timeline { width: 40%; }
.chart .timeline svg { height: .6rem; }
.runs { width: 7.5rem; height: 1.4rem; vertical-align: middle; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
footer { padding-top: 1.5rem; padding-bottom: 2rem; color: var(--quiet); font-size: .85rem; }
[hidden] { display: none !important; }
@media (max-width: 62rem) {
  td { overflow-wrap: anywhere; }
  .plots { display: none; }
}
@media (max-width: 44rem) {
  .answer { font-size: 1.35rem; }
  .answer .icon { width: 1.6rem; height: 1.6rem; }
  .counts { display: grid; grid-template-columns: repeat(2, 1fr); }
  .wide { display: none; }
  th, td { overflow-wrap: anywhere; }
  .status, thead th { overflow-wrap: normal; }
  th, td { padding: .45rem .4rem; }
  label, label > * { width: 100%; }
  .phases .timeline { width: 50%; }
  .chart { table-layout: fixed; }
  .chart .status { width: 26%; white-space: normal; }
  .chart thead .timeline, .chart .timeline { width: 27%; white-space: normal; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .4rem; }
}
@media (forced-colors: active) {
  .phase, .phase.bad, .fill-ok, .fill-warn, .fill-fail { fill: CanvasText; }
}
@media print {
  :root { color-scheme: light;
    --page: #fff; --card: #fff; --text: #000; --quiet: #444; --line: #bbb; --soft: #eee; --link: #000;
    --ok: #1a6e34; --warn: #8a5200; --fail: #b3211c; --bar: #4d7fb8; --warn-soft: #fff; --fail-soft: #fff; }
  body { font-size: 10pt; }
  td { overflow-wrap: anywhere; }
  .plots { display: none; }
  #connectors { font-size: 8.5pt; }
  #connectors th, #connectors td { padding: .25rem .4rem; }
  main, header, footer { max-width: none; padding: 0; }
  form, details.card:not([open]) { display: none !important; }
  .advice { border: 1px solid var(--line); }
  .card, tr { break-inside: avoid; }
  details.card { break-inside: auto; }
  h2, h3, h4 { break-after: avoid; }
  a { text-decoration: none; }
  svg { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""

SCRIPT = """
(function () {
  "use strict";
  var form = document.getElementById("filter");
  if (form) {
    var shown = document.getElementById("shown");
    var fields = ["status", "verdict", "host", "environment"];
    var rows = Array.prototype.map.call(document.querySelectorAll("#connectors tbody tr"), function (row) {
      var data = row.dataset;
      return {
        elements: [row, document.getElementById("d" + data.number)],
        text: row.textContent.toLowerCase(),
        values: {
          status: [data.status], verdict: [data.verdict], host: [data.host],
          environment: JSON.parse(data.environments)
        }
      };
    });
    var apply = function () {
      var words = form.elements.text.value.toLowerCase().split(" ");
      var count = 0;
      rows.forEach(function (row) {
        var fits = words.every(function (word) { return row.text.indexOf(word) >= 0; }) &&
          fields.every(function (name) {
            var field = form.elements[name];
            return !field || field.value === "" || row.values[name].indexOf(field.value) >= 0;
          });
        row.elements.forEach(function (element) { if (element) { element.hidden = !fits; } });
        count += fits ? 1 : 0;
      });
      shown.textContent = count + " of " + rows.length + " shown";
    };
    form.addEventListener("input", apply);
    form.addEventListener("change", apply);
    form.addEventListener("reset", function () { setTimeout(apply, 0); });
    form.addEventListener("submit", function (event) { event.preventDefault(); });
    form.hidden = false;
    apply();
  }
  var open = function () {
    var target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    var details = target && target.closest("details");
    if (details) { details.hidden = false; details.open = true; details.scrollIntoView(); }
  };
  window.addEventListener("hashchange", open);
  open();
})();
"""

# The signs of the statuses differ in shape, not only in colour.
ICONS = """<svg width="0" height="0" class="hidden" aria-hidden="true">
<symbol id="ok" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7" fill="none" stroke="currentColor" stroke-width="1.6"/>\
<path d="M4.5 8.3l2.4 2.4 4.6-5" fill="none" stroke="currentColor" stroke-width="2"/></symbol>
<symbol id="warn" viewBox="0 0 16 16"><path d="M8 1.5L15.2 14.5H.8z" fill="none" stroke="currentColor" \
stroke-width="1.6" stroke-linejoin="round"/>\
<path d="M8 6v4M8 11.4v1.6" stroke="currentColor" stroke-width="1.8"/></symbol>
<symbol id="fail" viewBox="0 0 16 16"><rect x="0.5" y="0.5" width="15" height="15" rx="3" fill="currentColor"/>\
<path d="M4.5 4.5l7 7M11.5 4.5l-7 7" class="cut" stroke-width="2.2"/></symbol>
</svg>"""
