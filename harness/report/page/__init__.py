"""The report page: one HTML file with its data, its scripts and a plotting library, which works without a network.

Python computes every statistic (:mod:`payload` and the modules it calls) and embeds it as one JSON. The scripts in
``scripts/`` draw what is in view: they filter, sort and plot, and compute no statistic over seeds. What a reader
chooses is kept in one state object and in the address of the page, so a link shows the same view again.

Plots are drawn by Observable Plot on D3, both embedded unchanged from ``vendor/``. Together they have 0.49 MB, against
1.0 MB of Plotly's basic bundle and 0.8 MB of Vega-Lite, and writing a report needs no further Python package. Plot
draws SVG, so plots print sharply and take the colours of the page, which uPlot's canvas (0.05 MB) does not. Plot and
D3 are kept by the same group and have had the same programming interface for years.

A record may hold any text. It reaches the page only as JSON in which ``<``, ``>`` and ``&`` are escaped, or through the
template, which escapes HTML; scripts write it as text. A content security policy also allows no script but the page's
own, which it names by its hash, and no request.
"""
