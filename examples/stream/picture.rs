//! What comes out over what goes in.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::register_font;

const SIZE: (u32, u32) = (720, 720);
const FONT: &str = "sans-serif";
const POINT: RGBColor = RGBColor(31, 119, 180);
const INK: RGBColor = RGBColor(60, 60, 60);
/// Points in the picture, evenly from the whole sound.
const POINTS: usize = 6000;

type Drawn = Result<(), Box<dyn Error>>;

pub(crate) fn draw(path: &Path, inputs: &[f32], outputs: &[f32]) -> Drawn {
    // The font comes with the program, so that a picture looks the same on a machine that has none.
    register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT).map_err(|_| "unusable font")?;
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    let drawn = match ending.as_deref() {
        Some("png") => points(&BitMapBackend::new(path, SIZE).into_drawing_area(), inputs, outputs),
        Some("svg") => points(&SVGBackend::new(path, SIZE).into_drawing_area(), inputs, outputs),
        _ => Err("expected a file ending in .png or .svg".into()),
    };
    drawn.map_err(|error| format!("--transfer {}: {error}", path.display()).into())
}

/// A short number; what is nearly 0 has no sign.
fn tick(x: f32) -> String {
    let rounded = (f64::from(x) * 1e6).round() / 1e6;
    if rounded == 0.0 { "0".to_string() } else { rounded.to_string() }
}

fn points<B: DrawingBackend<ErrorType: 'static>>(
    area: &DrawingArea<B, plotters::coord::Shift>,
    inputs: &[f32],
    outputs: &[f32],
) -> Drawn {
    let all = || inputs.iter().zip(outputs).filter(|(x, y)| x.is_finite() && y.is_finite());
    let bound = |values: &mut dyn Iterator<Item = f32>| {
        let (low, high) = values.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        // Something to see where all are the same, or there are none.
        let room = ((high - low) * 0.05).max(1e-3);
        if low > high { (-1.0, 1.0) } else { (low - room, high + room) }
    };
    let (left, right) = bound(&mut all().map(|(x, _)| *x));
    let (bottom, top) = bound(&mut all().map(|(_, y)| *y));
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(area)
        .caption("transfer", (FONT, 26).into_font().color(&INK))
        .margin(18)
        .x_label_area_size(48)
        .y_label_area_size(64)
        .build_cartesian_2d(left..right, bottom..top)?;
    chart
        .configure_mesh()
        .x_desc("in")
        .y_desc("out")
        .axis_desc_style((FONT, 20).into_font().color(&INK))
        .label_style((FONT, 16).into_font().color(&INK))
        .x_label_formatter(&|x| tick(*x))
        .y_label_formatter(&|y| tick(*y))
        .axis_style(INK)
        .bold_line_style(BLACK.mix(0.12))
        .light_line_style(TRANSPARENT)
        .draw()?;
    let every = (inputs.len() / POINTS).max(1);
    let points = all().step_by(every).map(|(x, y)| Circle::new((*x, *y), 1, POINT.mix(0.5).filled()));
    chart.draw_series(points)?;
    area.present()?;
    Ok(())
}
