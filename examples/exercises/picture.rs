//! Pictures of results, as SVG: curves, and a dot for each seed.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::*;
use plotters::style::register_font;

const SIZE: (u32, u32) = (960, 600);
const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(60, 60, 60);
const COLORS: [RGBColor; 8] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 90, 20),
    RGBColor(44, 140, 60),
    RGBColor(150, 70, 170),
    RGBColor(190, 40, 50),
    RGBColor(110, 85, 75),
    RGBColor(30, 150, 160),
    RGBColor(130, 130, 40),
];

type Drawn = Result<(), Box<dyn Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// What a picture says of itself, and whether its y-axis is logarithmic.
pub(crate) struct Titles<'a> {
    pub(crate) title: &'a str,
    pub(crate) x: &'a str,
    pub(crate) y: &'a str,
    pub(crate) log: bool,
}

/// A named curve.
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Curves over a number.
pub(crate) fn curves(path: &Path, titles: &Titles<'_>, curves: &[Curve]) -> Drawn {
    on(path, |area| {
        let points = || curves.iter().flat_map(|curve| curve.points.iter().copied());
        let y_axis = Axis::of(points().map(|(_, y)| y), titles.log)?;
        let x_axis = Axis::of(points().map(|(x, _)| x), false)?;
        let mut chart = chart(area, titles).build_cartesian_2d(x_axis.range(), y_axis.range())?;
        let mut mesh = chart.configure_mesh();
        mesh.x_desc(titles.x).y_desc(titles.y).axis_desc_style((FONT, 20).into_font().color(&INK));
        mesh.label_style((FONT, 16).into_font().color(&INK)).axis_style(INK);
        mesh.bold_line_style(BLACK.mix(0.12)).light_line_style(TRANSPARENT);
        mesh.x_label_formatter(&|x| number(*x)).y_label_formatter(&|y| number(y_axis.back(*y))).draw()?;
        for (i, curve) in curves.iter().enumerate() {
            let color = COLORS[i % COLORS.len()];
            let points = curve.points.iter().map(|(x, y)| (*x, y_axis.place(*y))).filter(|(_, y)| y.is_finite());
            let marked = if curve.points.len() > 40 { 0 } else { 4 };
            let line = LineSeries::new(points, color.filled().stroke_width(2)).point_size(marked);
            chart.draw_series(line)?.label(curve.name.as_str()).legend(move |(x, y)| {
                PathElement::new([(x, y), (x + 24, y)], color.stroke_width(2)) // beside its name
            });
        }
        let mut names = chart.configure_series_labels();
        names.position(SeriesLabelPosition::UpperRight).margin(14).legend_area_size(32);
        names.label_font((FONT, 18).into_font().color(&INK));
        names.background_style(WHITE.mix(0.85)).border_style(BLACK.mix(0.2)).draw()?;
        Ok(())
    })
}

/// For each category, from the top down, a dot for each seed and a bar at their median; `titles.y` says what is measured.
pub(crate) fn dots(path: &Path, titles: &Titles<'_>, categories: &[(String, Vec<f64>)]) -> Drawn {
    on(path, |area| {
        let axis = Axis::of(categories.iter().flat_map(|(_, values)| values.iter().copied()), titles.log)?;
        let lowest = categories.len() as f64 - 1.0;
        let places = Range { ends: (-0.5, lowest + 0.5), ticks: (0..categories.len()).map(|i| i as f64).collect() };
        let longest = categories.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0) as u32;
        let mut builder = chart(area, titles);
        builder.y_label_area_size((9 * longest + 20).clamp(60, SIZE.0 / 2));
        let mut chart = builder.build_cartesian_2d(axis.range(), places)?;
        let mut mesh = chart.configure_mesh();
        mesh.x_desc(titles.y).axis_desc_style((FONT, 20).into_font().color(&INK));
        mesh.label_style((FONT, 16).into_font().color(&INK)).axis_style(INK);
        mesh.bold_line_style(BLACK.mix(0.12)).light_line_style(TRANSPARENT);
        let name =
            |y: &f64| categories.get((lowest - y).round() as usize).map_or(String::new(), |(name, _)| name.clone());
        mesh.x_label_formatter(&|x| number(axis.back(*x))).y_label_formatter(&name).draw()?;
        for (i, (_, values)) in categories.iter().enumerate() {
            let (color, row) = (COLORS[i % COLORS.len()], lowest - i as f64);
            let seeds = values.len() as f64;
            for (seed, value) in values.iter().enumerate() {
                // One below the other, so that equal ones are seen.
                let y = row - ((seed as f64 + 0.5) / seeds - 0.5) * 0.5;
                let x = axis.place(*value);
                if x.is_finite() {
                    chart.draw_series([Circle::new((x, y), 4, color.mix(0.7).filled())])?;
                }
            }
            let middle = axis.place(crate::table::median(values));
            chart
                .draw_series([PathElement::new([(middle, row - 0.32), (middle, row + 0.32)], color.stroke_width(3))])?;
        }
        Ok(())
    })
}

fn on(path: &Path, draw: impl FnOnce(&Area<'_>) -> Drawn) -> Drawn {
    // The font comes with the program, so that a picture looks the same on a machine that has none.
    register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT).map_err(|_| "unusable font")?;
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    let drawn = area.fill(&WHITE).map_err(Into::into).and_then(|()| draw(&area));
    let written = drawn.and_then(|()| area.present().map_err(Into::into));
    written.map_err(|error| format!("{}: {error}", path.display()).into())
}

fn chart<'a, 'b>(area: &'a Area<'b>, titles: &Titles<'_>) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut builder = ChartBuilder::on(area);
    builder.caption(titles.title, (FONT, 26).into_font().color(&INK));
    builder.margin(18).margin_right(30).x_label_area_size(48).y_label_area_size(72);
    builder
}

/// An axis, drawn evenly: of a logarithmic one the logarithms are.
struct Axis {
    low: f64,
    high: f64,
    log: bool,
}

impl Axis {
    /// From the lowest to the highest, with some room.
    fn of(numbers: impl Iterator<Item = f64>, log: bool) -> Result<Self, String> {
        let axis = Axis { low: 0.0, high: 0.0, log };
        let places = numbers.map(|x| axis.place(x)).filter(|x| x.is_finite());
        let (low, high) = places.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
        if low > high {
            return Err("there is nothing that can be drawn".into());
        }
        let room = ((high - low) * 0.06).max(high.abs() * 1e-3).max(1e-9);
        Ok(Axis { low: low - room, high: high + room, log })
    }

    fn place(&self, x: f64) -> f64 {
        if self.log { x.log10() } else { x }
    }

    fn back(&self, place: f64) -> f64 {
        if self.log { 10_f64.powf(place) } else { place }
    }

    fn range(&self) -> Range {
        let ticks = ticks(self.back(self.low), self.back(self.high), self.log);
        Range { ends: (self.low, self.high), ticks: ticks.into_iter().map(|x| self.place(x)).collect() }
    }
}

/// What the drawing takes for an axis: its ends, and where it has numbers.
struct Range {
    ends: (f64, f64),
    ticks: Vec<f64>,
}

impl Ranged for Range {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, x: &f64, (from, to): (i32, i32)) -> i32 {
        let (low, high) = self.ends;
        from + ((x - low) / (high - low) * f64::from(to - from)).round() as i32
    }
    fn key_points<H: KeyPointHint>(&self, _: H) -> Vec<f64> {
        self.ticks.clone()
    }
    fn range(&self) -> std::ops::Range<f64> {
        self.ends.0..self.ends.1
    }
}

/// About ten round numbers between the two.
fn ticks(low: f64, high: f64, log: bool) -> Vec<f64> {
    let between = |numbers: &mut dyn Iterator<Item = f64>| numbers.filter(|y| (low..=high).contains(y)).collect();
    if log && high / low > 4.0 {
        let digits: &[f64] = if high / low < 20.0 { &[1.0, 1.5, 2.0, 3.0, 5.0, 7.0] } else { &[1.0, 2.0, 5.0] };
        let decades = (low.log10().floor() as i32)..=(high.log10().floor() as i32);
        return between(&mut decades.flat_map(|decade| digits.iter().map(move |digit| digit * 10_f64.powi(decade))));
    }
    let least = (high - low) / 10.0;
    let power = 10_f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|n| n * power).into_iter().find(|step| *step >= least).unwrap_or(least);
    let (first, last) = ((low / step).floor() as i64, (high / step).ceil() as i64);
    between(&mut (first..=last).map(|n| n as f64 * step))
}

/// Without digits that are rounding.
fn number(x: f64) -> String {
    format!("{}", (x * 1e6).round() / 1e6)
}
