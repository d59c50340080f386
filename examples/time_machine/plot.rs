//! The perplexity of every epoch as a picture.

use std::error::Error;
use std::path::{Path, PathBuf};

use plotters::prelude::*;
use plotters::style::register_font;

use crate::train::Outcome;

const SIZE: (u32, u32) = (960, 600);
const FONT: &str = "sans-serif";
const TRAINING: RGBColor = RGBColor(31, 119, 180);
const HELD_OUT: RGBColor = RGBColor(214, 90, 20);
const INK: RGBColor = RGBColor(60, 60, 60);

type Drawn = Result<(), Box<dyn Error>>;

/// A picture to be drawn, of a kind that its file's ending says.
#[derive(Debug)]
pub(crate) struct Picture {
    path: PathBuf,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Png,
    Svg,
}

impl Picture {
    /// Refuses other endings, and files in folders that do not exist.
    pub(crate) fn new(path: &Path) -> Result<Self, String> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        let kind = match ending.as_deref() {
            Some("png") => Kind::Png,
            Some("svg") => Kind::Svg,
            _ => return Err(format!("--plot {}: expected a file ending in .png or .svg", path.display())),
        };
        if path.is_dir() {
            return Err(format!("--plot {}: expected a file, got a folder", path.display()));
        }
        match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
                Err(format!("--plot {}: there is no folder {}", path.display(), folder.display()))
            }
            _ => Ok(Picture { path: path.to_path_buf(), kind }),
        }
    }

    pub(crate) fn draw(&self, title: &str, outcome: &Outcome) -> Drawn {
        // The font comes with the program, so that a picture looks the same on a machine that has none.
        register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT).map_err(|_| "unusable font")?;
        let drawn = match self.kind {
            Kind::Png => draw(&BitMapBackend::new(&self.path, SIZE).into_drawing_area(), title, outcome),
            Kind::Svg => draw(&SVGBackend::new(&self.path, SIZE).into_drawing_area(), title, outcome),
        };
        drawn.map_err(|error| format!("--plot {}: {error}", self.path.display()).into())
    }
}

fn draw<B: DrawingBackend<ErrorType: 'static>>(
    area: &DrawingArea<B, plotters::coord::Shift>,
    title: &str,
    outcome: &Outcome,
) -> Drawn {
    let training: Vec<_> = (1..).zip(outcome.epochs.iter().map(|epoch| epoch.perplexity)).collect();
    let held_out: Vec<_> = (1..).zip(&outcome.epochs).filter_map(|(n, epoch)| Some((n, epoch.held_out?))).collect();
    let heights = || training.iter().chain(&held_out).map(|(_, y)| *y).filter(|y| y.is_finite());
    let low = heights().fold(f64::INFINITY, f64::min) / 1.08;
    let high = heights().fold(0.0, f64::max).min(f64::MAX / 2.0) * 1.08;
    if low > high {
        return Err("no epoch has a perplexity that can be drawn".into());
    }

    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 26).into_font().color(&INK))
        .margin(18)
        .margin_right(30)
        .x_label_area_size(48)
        .y_label_area_size(64)
        .build_cartesian_2d(0..outcome.epochs.len(), (low..high).log_scale().with_key_points(ticks(low, high)))?;
    chart
        .configure_mesh()
        .x_desc("epoch")
        .y_desc("perplexity")
        .axis_desc_style((FONT, 20).into_font().color(&INK))
        .label_style((FONT, 16).into_font().color(&INK))
        .y_label_formatter(&|y| format!("{}", (y * 1e6).round() / 1e6))
        .axis_style(INK)
        .bold_line_style(BLACK.mix(0.12))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (name, points, color) in [("training", training, TRAINING), ("held-out", held_out, HELD_OUT)] {
        if points.is_empty() {
            continue;
        }
        let points = || points.iter().copied().filter(|(_, y)| y.is_finite());
        let marked = if points().count() > 60 { 0 } else { 3 };
        let line = LineSeries::new(points(), color.filled().stroke_width(2)).point_size(marked);
        chart.draw_series(line)?.label(name).legend(move |(x, y)| {
            PathElement::new([(x, y), (x + 24, y)], color.stroke_width(2)) // beside its name
        });
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerLeft)
        .margin(14)
        .legend_area_size(32)
        .label_font((FONT, 18).into_font().color(&INK))
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.2))
        .draw()?;
    area.present()?;
    Ok(())
}

/// About ten round numbers between the two: evenly spaced where they are near, else such as look so on the axis.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let ticks = |numbers: &mut dyn Iterator<Item = f64>| numbers.filter(|y| (low..=high).contains(y)).collect();
    if high / low < 4.0 {
        let least = (high - low) / 10.0;
        let power = 10_f64.powf(least.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|n| n * power).into_iter().find(|step| *step >= least).unwrap_or(least);
        return ticks(&mut (0..=(high / step) as u32).map(|n| f64::from(n) * step));
    }
    let digits: &[f64] = if high / low < 20.0 { &[1.0, 1.5, 2.0, 3.0, 5.0, 7.0] } else { &[1.0, 2.0, 5.0] };
    let decades = (low.log10().floor() as i32)..=(high.log10().floor() as i32);
    ticks(&mut decades.flat_map(|decade| digits.iter().map(move |digit| digit * 10_f64.powi(decade))))
}
