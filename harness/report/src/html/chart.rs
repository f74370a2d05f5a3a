//! A drawing with two axes, as SVG: lines, points, bands and words. Colours are classes of the page's style sheet; it draws what
//! it is told and computes no score.

use std::fmt::Write;

use super::scale::Scale;

/// Room for the numbers and names of the axes.
const LEFT: f64 = 56.0;
const BOTTOM: f64 = 44.0;
const TOP: f64 = 12.0;
const RIGHT: f64 = 16.0;

/// What stands along an axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Ends.
    pub(super) range: (f64, f64),
    /// Whether equal lengths are equal factors.
    pub(super) is_logarithmic: bool,
}

/// A drawing in progress.
pub(super) struct Chart {
    width: f64,
    height: f64,
    x: Scale,
    y: Scale,
    body: String,
}

impl Chart {
    /// Axes with their numbers and names.
    pub(super) fn new(width: f64, height: f64, x: Axis<'_>, y: Axis<'_>) -> Self {
        let mut chart = Self::columns(width, height, x, y);
        chart.numbers_below();
        chart
    }

    /// No numbers below: the columns are given names.
    pub(super) fn columns(width: f64, height: f64, x: Axis<'_>, y: Axis<'_>) -> Self {
        let scale = |axis: Axis<'_>, from, to| {
            let make = if axis.is_logarithmic {
                Scale::logarithmic
            } else {
                Scale::linear
            };
            make(axis.range.0, axis.range.1, from, to)
        };
        let mut chart = Self {
            x: scale(x, LEFT, width - RIGHT),
            y: scale(y, height - BOTTOM, TOP),
            width,
            height,
            body: String::new(),
        };
        chart.axes(x.name, y.name);
        chart
    }

    fn axes(&mut self, x_name: &str, y_name: &str) {
        let (left, right) = (LEFT, self.width - RIGHT);
        let (top, bottom) = (TOP, self.height - BOTTOM);
        for (value, text) in self.y.ticks() {
            let y = self.y.pixel(value);
            self.add(format_args!(
                r#"<line class="grid" x1="{left:.1}" x2="{right:.1}" y1="{y:.1}" y2="{y:.1}"/><text class="tick" x="{:.1}" y="{:.1}" text-anchor="end">{text}</text>"#,
                left - 6.0,
                y + 4.0
            ));
        }
        let middle = f64::midpoint(top, bottom);
        self.add(format_args!(
            r#"<text class="name" x="{:.1}" y="{:.1}" text-anchor="middle">{}</text><text class="name" transform="translate(14 {middle:.1}) rotate(-90)" text-anchor="middle">{}</text>"#,
            f64::midpoint(left, right),
            self.height - 8.0,
            escaped(x_name),
            escaped(y_name)
        ));
    }

    fn numbers_below(&mut self) {
        let (top, bottom) = (TOP, self.height - BOTTOM);
        for (value, text) in self.x.ticks() {
            let x = self.x.pixel(value);
            self.add(format_args!(
                r#"<line class="grid" x1="{x:.1}" x2="{x:.1}" y1="{top:.1}" y2="{bottom:.1}"/><text class="tick" x="{x:.1}" y="{:.1}" text-anchor="middle">{text}</text>"#,
                bottom + 16.0
            ));
        }
    }

    fn add(&mut self, markup: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.body.write_fmt(markup);
    }

    /// A line through points, with a text that appears on pointing at it.
    pub(super) fn line(&mut self, class: &str, points: &[(f64, f64)], title: &str) {
        let path = self.path(points);
        let title = escaped(title);
        self.add(format_args!(
            r#"<polyline class="{class}" points="{path}"><title>{title}</title></polyline>"#
        ));
    }

    /// The area between two heights, given as place, lower and upper end.
    pub(super) fn band(&mut self, class: &str, points: &[(f64, f64, f64)], title: &str) {
        let upper = points.iter().map(|&(x, _, high)| (x, high));
        let lower = points.iter().rev().map(|&(x, low, _)| (x, low));
        let path = self.path(&upper.chain(lower).collect::<Vec<_>>());
        let title = escaped(title);
        self.add(format_args!(
            r#"<polygon class="{class}" points="{path}"><title>{title}</title></polygon>"#
        ));
    }

    /// A dot.
    pub(super) fn dot(&mut self, class: &str, at: (f64, f64), title: &str) {
        let (x, y) = self.place(at);
        let title = escaped(title);
        self.add(format_args!(r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="5"><title>{title}</title></circle>"#));
    }

    /// A cross, for what is no competitor.
    pub(super) fn cross(&mut self, class: &str, at: (f64, f64), title: &str) {
        let (x, y) = self.place(at);
        let title = escaped(title);
        self.add(format_args!(
            r#"<path class="cross {class}" d="M{:.1} {:.1}l12 12m0 -12l-12 12"><title>{title}</title></path>"#,
            x - 6.0,
            y - 6.0
        ));
    }

    /// A straight line between two points.
    pub(super) fn segment(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (self.place(from), self.place(to));
        self.add(format_args!(
            r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#
        ));
    }

    /// A bar from one height to another, `width` wide, centred.
    pub(super) fn bar(
        &mut self,
        class: &str,
        from: (f64, f64),
        to_y: f64,
        width: f64,
        title: &str,
    ) {
        let ((x, y1), (_, y2)) = (self.place(from), self.place((from.0, to_y)));
        let title = escaped(title);
        self.add(format_args!(
            r#"<rect class="{class}" x="{:.1}" y="{:.1}" width="{width:.1}" height="{:.1}" rx="2"><title>{title}</title></rect>"#,
            x - width / 2.0,
            y1.min(y2),
            (y1 - y2).abs().max(1.0)
        ));
    }

    /// A word beside a point.
    pub(super) fn label(
        &mut self,
        class: &str,
        at: (f64, f64),
        offset: (f64, f64),
        anchor: &str,
        text: &str,
    ) {
        let (x, y) = self.place(at);
        let text = escaped(text);
        self.add(format_args!(
            r#"<text class="{class}" x="{:.1}" y="{:.1}" text-anchor="{anchor}">{text}</text>"#,
            x + offset.0,
            y + offset.1
        ));
    }

    /// The pixels of a point.
    pub(super) fn place(&self, at: (f64, f64)) -> (f64, f64) {
        (self.x.pixel(at.0), self.y.pixel(at.1))
    }

    fn path(&self, points: &[(f64, f64)]) -> String {
        let pixels = points.iter().map(|&point| {
            let (x, y) = self.place(point);
            format!("{x:.1},{y:.1}")
        });
        pixels.collect::<Vec<_>>().join(" ")
    }

    /// The whole drawing; `title` and `description` are for those who cannot see it.
    pub(super) fn finish(self, title: &str, description: &str) -> String {
        format!(
            r#"<svg viewBox="0 0 {} {}" role="img" aria-label="{}" xmlns="http://www.w3.org/2000/svg"><title>{}</title><desc>{}</desc>{}</svg>"#,
            self.width,
            self.height,
            escaped(title),
            escaped(title),
            escaped(description),
            self.body
        )
    }
}

/// Text as HTML shows it.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
